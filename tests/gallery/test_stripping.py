"""What a picture says beside its pixels goes, and the pixels stay."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from modules.gallery.encode import encode_image
from modules.gallery.errors import ImageReadError
from modules.gallery.image_info import read_image_info
from modules.gallery.stripping import strip_metadata

TEXT = "a secret garden, 秘密\nSteps: 3, Sampler: Euler, Seed: 5"
TURNED = 6


def picture(mode: str = "RGB") -> Image.Image:
    random = np.random.default_rng(3)
    image = Image.fromarray(random.integers(0, 255, (24, 40, 3), dtype=np.uint8))
    return image.convert(mode)


def written(file_format: str, image: Image.Image | None = None, **more) -> bytes:
    buffer = io.BytesIO()
    (image or picture()).save(buffer, file_format, **more)
    return buffer.getvalue()


def everything(file_format: str) -> bytes:
    """A file that says as much as Pillow lets it."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x013B] = TURNED, "secret maker", "secret artist"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0secret comment"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    more = {"exif": exif.tobytes(), "icc_profile": profile, "xmp": b"<x>secret</x>"}
    if file_format == "PNG":
        texts = PngInfo()
        texts.add_text("parameters", TEXT)
        texts.add_itxt("XML:com.adobe.xmp", "<x>secret</x>")
        texts.add_text("zipped", "secret " * 50, zip=True)
        texts.add(b"caBX", b"secret jumbf")
        texts.add(b"prVt", b"secret private chunk")
        more = {**more, "pnginfo": texts}
        del more["xmp"]
    if file_format == "JPEG":
        more["comment"] = b"secret comment"
    return written(file_format, **more) + b"secret tail"


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_nothing_is_left_but_pixels_colours_and_the_turn(file_format):
    data = everything(file_format)
    assert b"secret" in data
    clean = strip_metadata(data)
    assert b"secret" not in clean.data
    assert not clean.encoded_again
    info = read_image_info(clean.data)
    assert (info.text, info.items) == ("", {})
    assert np.array_equal(pixels(clean.data), pixels(data))
    opened, before = Image.open(io.BytesIO(clean.data)), Image.open(io.BytesIO(data))
    assert dict(opened.getexif()) == {0x0112: TURNED}
    assert opened.info["icc_profile"] == before.info["icc_profile"]
    assert strip_metadata(clean.data).data == clean.data


@pytest.mark.parametrize("file_format", ["png", "jpg", "webp", "avif", "gif"])
def test_our_own_files_lose_their_parameters(file_format):
    data = encode_image(picture(), file_format, TEXT).data
    assert read_image_info(data).text == TEXT
    clean = strip_metadata(data)
    assert read_image_info(clean.data).text == ""
    assert clean.extension == file_format
    if file_format == "avif":
        assert np.abs(pixels(clean.data).astype(int) - pixels(data)).mean() < 12
    else:
        assert np.array_equal(pixels(clean.data), pixels(data))


def test_frames_and_their_repetition_stay():
    frames = [picture().rotate(90 * turn) for turn in range(3)]
    for file_format, more in (("GIF", {"comment": b"secret"}), ("WEBP", {"lossless": True})):
        data = written(
            file_format, frames[0], save_all=True, append_images=frames[1:], loop=3, **more
        )
        clean = Image.open(io.BytesIO(strip_metadata(data).data))
        assert (clean.n_frames, clean.info["loop"]) == (
            3,
            Image.open(io.BytesIO(data)).info["loop"],
        )
        clean.seek(2)
        assert "comment" not in clean.info


def test_a_text_in_the_lowest_bits_goes_too():
    image = picture("RGBA").resize((64, 64))
    body = TEXT.encode()
    stream = b"stealth_pnginfo" + struct.pack(">I", len(body) * 8) + body
    bits = np.unpackbits(np.frombuffer(stream, np.uint8))
    planes = np.array(image)
    planes[..., 3] = 255
    column = planes[..., 3].T.reshape(-1)
    column[: len(bits)] = 254 | bits
    planes[..., 3] = column.reshape(64, 64).T
    data = written("PNG", Image.fromarray(planes))
    assert read_image_info(data).text == TEXT
    clean = strip_metadata(data)
    assert clean.encoded_again
    assert read_image_info(clean.data).text == ""
    assert np.abs(pixels(clean.data).astype(int) - planes).max() <= 1


def test_a_jpeg_loses_its_small_copy_and_keeps_its_inverted_colours():
    data = written("JPEG", picture("CMYK"))
    assert np.array_equal(pixels(strip_metadata(data).data), pixels(data))
    small = b"\xff\xe0\x00\x13JFIF\0\1\1\0\0\1\0\1\1\1abc"
    plain = written("JPEG")
    length = int.from_bytes(plain[4:6], "big")
    thumbed = plain[:2] + small + plain[4 + length :]
    clean = strip_metadata(thumbed).data
    assert b"abc" not in clean[:40]
    assert np.array_equal(pixels(clean), pixels(plain))


def test_progressive_and_restarted_scans_stay_whole():
    for more in ({"progressive": True}, {"restart_marker_blocks": 1}):
        data = written("JPEG", picture().resize((200, 120)), **more)
        assert np.array_equal(pixels(strip_metadata(data).data), pixels(data))


def test_the_checksum_of_what_was_written_anew_is_right():
    data = strip_metadata(everything("PNG")).data
    at = data.index(b"eXIf")
    length = int.from_bytes(data[at - 4 : at], "big")
    checked = data[at : at + 4 + length]
    assert struct.pack(">I", zlib.crc32(checked)) == data[at + 4 + length : at + 8 + length]


FILES = {name: everything(name) for name in ("PNG", "JPEG", "WEBP")} | {"GIF": written("GIF")}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_cut_and_damaged_files_give_one_sentence(file_format, drawn):
    data = bytearray(FILES[file_format])
    if drawn.draw(st.booleans()):
        data = data[: drawn.draw(st.integers(0, len(data)))]
    for at in drawn.draw(st.lists(st.integers(0, max(0, len(data) - 1)), max_size=4)):
        if data:
            data[at] = drawn.draw(st.integers(0, 255))
    try:
        strip_metadata(bytes(data))
    except ImageReadError as error:
        assert error.sentence.endswith(".")


@pytest.mark.parametrize("data", [b"", b"<svg/>", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a"])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(ImageReadError):
        strip_metadata(data)
