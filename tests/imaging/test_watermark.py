"""The invisible mark: found again, read by the package of others, and never where it is not."""

from __future__ import annotations

import io
import sys
import types

import numpy as np
import pytest
from PIL import Image, ImageFilter

from modules.imaging import watermark
from modules.imaging.watermark import DEFAULT_TEXT, MAX_BYTES, embed, find_mark
from modules.imaging.watermark_methods import METHODS


def painted(seed: int = 0, side: int = 320) -> Image.Image:
    """A picture with areas, edges, a white border and some grain."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 255, (10, 10, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)
    image = image.filter(ImageFilter.GaussianBlur(2))
    grain = random.normal(0, 3, (side, side, 1))
    image = Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8))
    framed = Image.new("RGB", image.size, "white")
    framed.paste(image.crop((40, 40, side, side)), (40, 40))
    return framed


def saved(image: Image.Image, file_format: str, **settings) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **settings)
    return Image.open(buffer).convert("RGB")


@pytest.mark.parametrize("method", METHODS)
def test_a_mark_is_found_again_and_cannot_be_seen(method):
    image = painted()
    marked = embed(image, method=method)
    found = find_mark(marked)
    assert (found.name, found.text, found.method) == ("Easel", DEFAULT_TEXT, method)
    assert found.agreement == 1
    difference = np.asarray(image, float) - np.asarray(marked, float)
    assert 10 * np.log10(255**2 / (difference**2).mean()) > 38


@pytest.mark.parametrize("method", METHODS)
def test_the_package_reads_our_marks_and_we_read_the_packages(method, monkeypatch):
    # The package imports torch for a third method; that takes seconds.
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    watermark = pytest.importorskip("imwatermark")
    image = painted(1)
    bgr = np.asarray(embed(image, "InvokeAI", method))[..., ::-1].copy()
    assert watermark.WatermarkDecoder("bytes", 64).decode(bgr, method) == b"InvokeAI"
    encoder = watermark.WatermarkEncoder()
    encoder.set_watermark("bytes", b"StableDiffusionV1")
    grainy = Image.fromarray(np.random.default_rng(0).integers(60, 190, (320, 320, 3), np.uint8))
    theirs = encoder.encode(np.asarray(grainy)[..., ::-1].copy(), method)
    found = find_mark(Image.fromarray(theirs[..., ::-1].copy()))
    assert (found.name, found.method) == ("Stable Diffusion 1", method)


@pytest.mark.parametrize(
    ("file_format", "settings"), [("JPEG", {"quality": 80}), ("WEBP", {"quality": 80})]
)
def test_the_usual_method_survives_lossy_files(file_format, settings):
    marked = embed(painted(2))
    assert find_mark(saved(marked, file_format, **settings)).text == DEFAULT_TEXT


@pytest.mark.parametrize("colour", ["white", "black", "red", "blue", "#808080"])
def test_plain_areas_can_be_marked(colour):
    marked = embed(Image.new("RGB", (264, 264), colour))
    assert find_mark(marked).agreement == 1


def test_pictures_without_a_mark_have_none():
    for seed in range(6):
        assert find_mark(painted(seed, 256)) is None
    for colour in ("white", "black", "#7f7f7f"):
        assert find_mark(Image.new("RGB", (256, 256), colour)) is None


def test_a_small_picture_is_left_alone():
    assert embed(Image.new("RGB", (255, 256))) is None
    assert find_mark(Image.new("RGB", (64, 64))) is None


def test_transparency_and_odd_sizes_stay():
    image = painted(3).resize((333, 301)).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    marked = embed(image)
    assert (marked.mode, marked.size) == ("RGBA", (333, 301))
    assert np.array_equal(np.asarray(marked)[..., 3], np.asarray(image)[..., 3])
    assert find_mark(marked).text == DEFAULT_TEXT


@pytest.mark.parametrize("text", ["", "x" * (MAX_BYTES + 1), "画" * 6])
def test_texts_that_do_not_fit_are_refused(text):
    with pytest.raises(ValueError, match="1 to 16 bytes"):
        embed(painted(), text)


def test_another_text_is_not_taken_for_ours():
    marked = embed(painted(4), "我的画")
    assert find_mark(marked) is None
    assert find_mark(marked, ["Easel AI", "我的画"]).text == "我的画"


def test_a_large_picture_is_read_from_its_top(monkeypatch):
    monkeypatch.setattr(watermark, "READ_PIXELS", 256 * 256)
    marked = embed(painted(5, 512))
    assert find_mark(marked).text == DEFAULT_TEXT
    monkeypatch.setattr(watermark, "READ_PIXELS", 1)
    assert find_mark(marked).text == DEFAULT_TEXT, "so many rows are always read"


@pytest.mark.parametrize("size", [(70_000, 1), (1, 70_000), (9_000, 8), (10_000, 20), (66_000, 16)])
def test_narrow_pictures_are_no_trouble(size):
    image = Image.new("RGB", size, "#445566")
    marked = embed(image)
    found = find_mark(image if marked is None else marked)
    assert (found is not None) is (marked is not None)
