"""Parameters in the lowest bits of pixels, written here bit by bit as their writers do."""

from __future__ import annotations

import gzip
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.gallery.image_info import read_image_info
from modules.gallery.stealth import read_stealth

INFOTEXT = (
    "a cat, 猫\nNegative prompt: rain\n"
    "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 64x48"
)
NOVELAI = {
    "Description": "a lake",
    "Software": "NovelAI",
    "Comment": json.dumps({"steps": 28, "sampler": "k_euler", "seed": 12, "scale": 5, "uc": "fog"}),
}


def hidden(
    data: bytes,
    signature: bytes,
    colours: bool,
    length: int | None = None,
    size: tuple[int, int] = (64, 48),
) -> Image.Image:
    stream = signature + (len(data) * 8 if length is None else length).to_bytes(4, "big") + data
    bits = [byte >> place & 1 for byte in stream for place in range(7, -1, -1)]
    image = Image.new("RGBA", size, (200, 100, 50, 254))
    pixels = image.load()
    taken = iter(bits)
    for x in range(image.width):
        for y in range(image.height):
            values = list(pixels[x, y])
            for band in (0, 1, 2) if colours else (3,):
                values[band] = values[band] & ~1 | next(taken, 0)
            pixels[x, y] = tuple(values)
    return image.convert("RGB") if colours else image


def file(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, **{"format": "PNG", **options})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("signature", "pack", "colours"),
    [
        (b"stealth_pnginfo", bytes, False),
        (b"stealth_pngcomp", gzip.compress, False),
        (b"stealth_rgbinfo", bytes, True),
        (b"stealth_rgbcomp", gzip.compress, True),
    ],
)
def test_hidden_parameters_are_read(signature: bytes, pack, colours: bool) -> None:
    image = hidden(pack(INFOTEXT.encode()), signature, colours)
    for data in (file(image), file(image, format="WEBP", lossless=True, exact=True)):
        found = read_image_info(data)
        assert found.text == INFOTEXT
        assert found.parsed.parameters["Sampler"] == "Euler a"


def test_novelais_hidden_texts_are_understood() -> None:
    data = gzip.compress(json.dumps(NOVELAI).encode())
    found = read_image_info(file(hidden(data, b"stealth_pngcomp", False)))
    assert found.parsed.dialect == "novelai"
    assert (found.parsed.prompt, found.parsed.negative) == ("a lake", "fog")
    assert found.parsed.parameters["Steps"] == "28"


def test_written_parameters_win_over_hidden_ones() -> None:
    from PIL.PngImagePlugin import PngInfo

    told = PngInfo()
    told.add_text("parameters", "a dog\nSteps: 3, Sampler: DDIM, Seed: 1, Size: 64x48")
    image = hidden(INFOTEXT.encode(), b"stealth_pnginfo", False)
    assert read_image_info(file(image, pnginfo=told)).parsed.prompt == "a dog"


@pytest.mark.parametrize(
    ("data", "length"),
    [
        (b"abc", 25),
        (b"abc", 2**32 - 1),
        (b"not gzip at all", None),
        (gzip.compress(INFOTEXT.encode())[:-9], None),
        (b"", None),
    ],
)
def test_damaged_and_endless_texts_are_none(data: bytes, length: int | None) -> None:
    assert read_stealth(hidden(data, b"stealth_pngcomp", False, length)) == ""


def test_a_text_that_unpacks_without_end_is_none() -> None:
    bomb = gzip.compress(b"x" * 5_000_000)
    assert read_stealth(hidden(bomb, b"stealth_pngcomp", False, size=(256, 200))) == ""
    fits = gzip.compress(b"x" * 4_000_000)
    assert read_stealth(hidden(fits, b"stealth_pngcomp", False, size=(256, 200))) == "x" * 4_000_000


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=350), st.sampled_from([b"stealth_pnginfo", b"stealth_rgbcomp"]))
def test_any_bits_give_a_text_or_none(data: bytes, signature: bytes) -> None:
    image = hidden(data, signature, signature.startswith(b"stealth_rgb"))
    assert isinstance(read_image_info(file(image)).text, str)
