"""Containers: writing pictures with infotext and reading anything back."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from modules.gallery import ImageReadError, encode_image, open_image, read_image_info
from modules.gallery.exif import decode_comment, exif_with_comment, read_exif
from modules.imaging.png_chunks import MAX_TEXT, SIGNATURE, read_png_text

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

TEXT = 'a cat, "x"\nNegative prompt: y\nSteps: 20, Sampler: Euler a, Seed: 1, Size: 64x48'
UNICODE = TEXT.replace("cat", "Katze 日本 🙂 é")


def picture(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    image = Image.new(mode, size)
    image.paste(Image.linear_gradient("L").resize(size).convert(mode))
    return image


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with(*chunks: bytes) -> bytes:
    data = encode_image(picture(), "png").data
    end = len(SIGNATURE) + 25
    return data[:end] + b"".join(chunks) + data[end:]


@pytest.mark.parametrize("file_format", ["png", "jpg", "jpeg", "webp", "avif", "gif"])
@pytest.mark.parametrize("text", [TEXT, UNICODE])
def test_every_format_carries_the_infotext(file_format: str, text: str) -> None:
    encoded = encode_image(picture(), file_format, text)
    assert encoded.extension == file_format
    info = read_image_info(encoded.data)
    assert info.text == text
    assert (info.width, info.height) == (64, 48)
    assert info.parsed.parameters["Steps"] == "20"


def test_png_text_is_where_a1111_puts_it() -> None:
    with Image.open(io.BytesIO(encode_image(picture(), "png", UNICODE).data)) as image:
        assert image.info["parameters"] == UNICODE


def test_exif_comment_is_unicode_big_endian() -> None:
    data = exif_with_comment("aé")
    assert b"UNICODE\0\0a\0\xe9" in data
    assert read_exif(data) == {"UserComment": "aé"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"UNICODE\0" + "a, é: 日本".encode("utf-16-be"), "a, é: 日本"),
        (b"UNICODE\0" + "a, é: 日本".encode("utf-16-le"), "a, é: 日本"),
        (b"UNICODE\0\xff\xfe" + "ab".encode("utf-16-le"), "ab"),
        (b"UNICODE\0" + "plain é".encode(), "plain é"),
        (b"ASCII\0\0\0plain", "plain"),
        (b"\0\0\0\0\0\0\0\0plain", "plain"),
        (b"plain", "plain"),
        (b"", ""),
    ],
)
def test_comments_of_other_writers_are_read(data: bytes, expected: str) -> None:
    assert decode_comment(data) == expected


def test_exif_wins_over_the_png_text() -> None:
    info = PngInfo()
    info.add_text("parameters", "old")
    buffer = io.BytesIO()
    picture().save(buffer, "PNG", pnginfo=info, exif=exif_with_comment(TEXT))
    assert read_image_info(buffer.getvalue()).text == TEXT


def test_other_chunks_are_items() -> None:
    data = encode_image(picture(), "png", TEXT, chunks={"extras": "Postprocess upscale by: 2"}).data
    assert read_image_info(data).items == {"extras": "Postprocess upscale by: 2"}


def test_a_picture_without_text_has_none() -> None:
    info = read_image_info(encode_image(picture(), "jpg").data)
    assert (info.text, info.items, info.parsed.parameters) == ("", {}, {})


def test_the_setting_keeps_the_text_out() -> None:
    data = encode_image(picture(), "png", TEXT, {"enable_pnginfo": False}).data
    assert read_image_info(data).text == ""


def test_novelai_pictures_are_translated() -> None:
    comment = json.dumps({"steps": 28, "sampler": "k_euler", "seed": 3, "scale": 11, "uc": "bad"})
    data = encode_image(
        picture(),
        "png",
        chunks={"Software": "NovelAI", "Description": "a fox", "Comment": comment},
    ).data
    info = read_image_info(data)
    assert info.parsed.dialect == "novelai"
    assert info.text.startswith("a fox\nNegative prompt: bad\nSteps: 28, Sampler: k_euler")


def test_comfyui_pictures_are_translated() -> None:
    graph = {
        "1": {"class_type": "KSampler", "inputs": {"steps": 9, "seed": 1, "positive": ["2", 0]}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox"}},
    }
    data = encode_image(picture(), "png", chunks={"prompt": json.dumps(graph)}).data
    info = read_image_info(data)
    assert (info.parsed.dialect, info.parsed.prompt) == ("comfyui", "a fox")
    assert "Steps: 9" in info.text
    assert "prompt" in info.items


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "LA", "1"])
def test_every_mode_can_be_written_as_jpeg(mode: str) -> None:
    encoded = encode_image(picture("L").convert(mode), "jpg", TEXT)
    assert open_image(encoded.data).size == (64, 48)


def test_what_a_format_cannot_hold_becomes_png() -> None:
    wide = encode_image(Image.new("RGB", (16400, 2)), "webp", TEXT)
    assert wide.extension == "png"
    assert "16383" in wide.note
    assert encode_image(Image.new("L", (65600, 1)), "jpg").extension == "png"
    long_text = encode_image(picture(), "jpg", "x" * 70_000)
    assert long_text.extension == "png"
    assert read_image_info(long_text.data).text == "x" * 70_000


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="exe"):
        encode_image(picture(), "exe")


def test_webp_can_be_lossless() -> None:
    data = encode_image(picture(), "webp", "", {"webp_lossless": True}).data
    assert open_image(data).convert("RGB").tobytes() == picture().tobytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a picture",
        SIGNATURE,
        SIGNATURE + b"\xff" * 100,
        b"\xff\xd8\xff\xe1\xff\xff",
        b"RIFF\0\0\0\0WEBP",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
    ],
)
def test_files_that_are_no_pictures_are_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(ImageReadError, match=r"picture"):
        read_image_info(data)
    with pytest.raises(ImageReadError):
        open_image(data)


def test_a_missing_file_is_named_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError):
        read_image_info(tmp_path / "none.png")
    with pytest.raises(ImageReadError):
        read_image_info(tmp_path)


def test_pixel_and_byte_limits_hold_before_decoding() -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    bomb = SIGNATURE + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    with pytest.raises(ImageReadError, match="pixels"):
        open_image(bomb)
    data = encode_image(picture(), "png").data
    with pytest.raises(ImageReadError, match="3,072 pixels; allowed are 3,000"):
        open_image(data, max_pixels=3000)
    with pytest.raises(ImageReadError, match="allowed are 10"):
        open_image(data, max_bytes=10)


def test_truncated_pictures_are_refused() -> None:
    for file_format in ("png", "jpg", "webp"):
        data = encode_image(picture(size=(256, 256)), file_format).data
        with pytest.raises(ImageReadError):
            open_image(data[: len(data) // 2])


def test_packed_text_bombs_are_not_unpacked() -> None:
    bomb = zlib.compress(b"x" * (MAX_TEXT + 1))
    data = png_with(
        chunk(b"zTXt", b"parameters\0\0" + bomb),
        chunk(b"iTXt", b"prompt\0\1\0\0\0" + bomb),
        chunk(b"zTXt", b"small\0\0" + zlib.compress(b"fine")),
    )
    assert read_png_text(data) == {"small": "fine"}


def test_damaged_text_chunks_are_skipped() -> None:
    data = png_with(
        chunk(b"zTXt", b"a\0\0garbage"),
        chunk(b"iTXt", b"b"),
        chunk(b"tEXt", b"no separator"),
        chunk(b"iTXt", b"c\0\0\0en\0c\0" + "ü".encode()),
        chunk(b"tEXt", b"d\0\xfc"),
    )
    assert read_png_text(data) == {"c": "ü", "d": "ü"}


@settings(max_examples=150)
@given(st.data())
def test_damaged_pictures_raise_nothing_but_the_named_error(data: Any) -> None:
    file_format = data.draw(st.sampled_from(["png", "jpg", "webp", "gif"]))
    raw = bytearray(encode_image(picture(), file_format, TEXT).data)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place] = data.draw(st.integers(0, 255))
    for reader in (read_image_info, open_image):
        try:
            reader(bytes(raw))
        except ImageReadError as error:
            assert error.sentence


@given(st.binary(max_size=300))
def test_any_exif_is_read_without_raising(data: bytes) -> None:
    assert isinstance(read_exif(data), dict)
    assert isinstance(read_exif(b"Exif\0\0II*\0\x08\0\0\0" + data), dict)
    assert isinstance(decode_comment(data), str)


def test_switched_off_nothing_is_written_into_a_file_not_even_what_extras_did():
    image, off = Image.new("RGB", (8, 8)), {"enable_pnginfo": False}
    chunks = {"extras": "Postprocess upscale by: 2"}
    for file_format in ("png", "jpg", "webp"):
        data = encode_image(image, file_format, "a secret", off, chunks=chunks).data
        info = read_image_info(data)
        assert (info.text, info.items) == ("", {})
