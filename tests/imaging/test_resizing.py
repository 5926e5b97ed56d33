"""The resize modes of img2img."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.imaging.resizing import CROP, FILL, STRETCH, fitted_size, flatten, resize_to
from modules.requests.errors import RequestError
from tests.imaging.pictures import noisy, smooth

sides = st.integers(1, 300)


@settings(max_examples=80, deadline=None)
@given(sides, sides, sides, sides, st.sampled_from([STRETCH, CROP, FILL]))
def test_every_mode_gives_exactly_the_size(width, height, new_width, new_height, mode):
    picture = resize_to(noisy(width, height), mode, new_width, new_height)
    assert picture.size == (new_width, new_height)


@given(sides, sides, sides, sides, st.booleans())
def test_the_fitted_size_covers_or_fits(width, height, new_width, new_height, cover):
    fitted = fitted_size((width, height), new_width, new_height, cover=cover)
    assert new_width in fitted[:1] or new_height in fitted[1:]
    if cover:
        assert fitted[0] >= new_width and fitted[1] >= new_height
    else:
        assert fitted[0] <= new_width and fitted[1] <= max(1, new_height)


def test_a_picture_of_the_right_size_is_left_alone():
    picture = noisy(40, 24)
    for mode in (STRETCH, CROP, FILL):
        assert resize_to(picture, mode, 40, 24).tobytes() == picture.tobytes()


def test_crop_keeps_the_middle():
    picture = Image.new("RGB", (300, 100), "#ff0000")
    picture.paste("#0000ff", (100, 0, 200, 100))
    cropped = resize_to(picture, CROP, 50, 50)
    assert cropped.getpixel((25, 25)) == (0, 0, 255)
    red, _, blue = cropped.getpixel((1, 25))
    assert red < 5 and blue > 250


def test_crop_computes_only_what_stays_and_still_the_same_pixels():
    picture = smooth(120, 80)
    slow = picture.resize((75, 50), Image.Resampling.LANCZOS).crop((12, 0, 62, 50))
    fast = resize_to(picture, CROP, 50, 50)
    difference = np.asarray(slow).astype(int) - np.asarray(fast).astype(int)
    assert np.abs(difference).max() <= 1


def test_a_ribbon_is_cropped_without_a_giant_in_between():
    assert resize_to(Image.new("RGB", (16384, 1)), CROP, 512, 512).size == (512, 512)
    assert resize_to(Image.new("RGB", (16384, 1)), FILL, 512, 512).size == (512, 512)


def test_fill_repeats_the_outermost_rows():
    picture = noisy(64, 32)
    filled = np.asarray(resize_to(picture, FILL, 64, 64))
    assert (filled[16:48] == np.asarray(picture)).all()
    assert (filled[:16] == filled[16]).all()
    assert (filled[48:] == filled[47]).all()


def test_an_upscaler_is_used_only_for_growing():
    asked = []

    def upscale(image, scale):
        asked.append(scale)
        return image.resize((image.width * 4, image.height * 4), Image.Resampling.NEAREST)

    assert resize_to(noisy(16, 16), STRETCH, 32, 24, upscale).size == (32, 24)
    assert resize_to(noisy(64, 64), STRETCH, 32, 24, upscale).size == (32, 24)
    assert resize_to(noisy(16, 16), CROP, 32, 24, upscale).size == (32, 24)
    assert resize_to(noisy(16, 16), FILL, 32, 24, upscale).size == (32, 24)
    assert asked == [2.0, 2.0, 1.5]


def test_the_latent_mode_is_not_for_pictures():
    with pytest.raises(ValueError, match="resize_mode"):
        resize_to(noisy(4, 4), 3, 8, 8)


def test_transparency_shows_the_background_and_opaque_pixels_stay():
    picture = noisy(20, 20, channels=4)
    flat = np.asarray(flatten(picture, "#00ff00"))
    pixels = np.asarray(picture)
    opaque, clear = pixels[..., 3] == 255, pixels[..., 3] == 0
    assert (flat[opaque] == pixels[opaque][:, :3]).all()
    assert (flat[clear] == (0, 255, 0)).all()
    assert flatten(Image.new("L", (2, 2), 7)).getpixel((0, 0)) == (7, 7, 7)
    with pytest.raises(RequestError, match="img2img_background_color"):
        flatten(picture, "no colour")
