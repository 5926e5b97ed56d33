"""Masks of inpainting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.imaging.masks import (
    Box,
    fill_masked,
    is_blank,
    kernel_size,
    latent_mask,
    padded_box,
    prepare_mask,
    read_mask,
)
from tests.imaging.pictures import noisy, smooth


def spot(width: int, height: int, box: tuple[int, int, int, int]) -> Image.Image:
    mask = Image.new("L", (width, height))
    mask.paste(255, box)
    return mask


@st.composite
def masks(draw):
    width, height = draw(st.integers(1, 400)), draw(st.integers(1, 400))
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    right, bottom = draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height))
    return spot(width, height, (left, top, right, bottom))


@settings(max_examples=200, deadline=None)
@given(masks(), st.integers(0, 256), st.integers(8, 2048), st.integers(8, 2048))
def test_the_box_lies_inside_and_holds_the_mask(mask, padding, wide, high):
    box = padded_box(mask, padding, (wide, high))
    inner = mask.getbbox()
    assert 0 <= box.left <= inner[0] and inner[2] <= box.right <= mask.width
    assert 0 <= box.top <= inner[1] and inner[3] <= box.bottom <= mask.height


@settings(max_examples=200, deadline=None)
@given(masks(), st.integers(0, 32), st.integers(32, 128), st.integers(32, 128))
def test_the_box_has_the_aspect_ratio_unless_the_picture_is_too_small(mask, padding, wide, high):
    box = padded_box(mask, padding, (wide, high))
    # One side is less than a whole pixel too short.
    assert (
        box.width == mask.width
        or box.height == mask.height
        or abs(box.width - box.height * wide / high) < 1
        or abs(box.height - box.width * high / wide) < 1
    )


def test_the_box_is_padded_grown_about_its_middle_and_moved_inside():
    mask = spot(400, 300, (100, 100, 140, 120))
    assert padded_box(mask, 10, (512, 512)) == Box(90, 80, 150, 140)
    assert padded_box(mask, 10, (1024, 512)) == Box(80, 90, 160, 130)
    assert padded_box(spot(400, 300, (0, 0, 10, 40)), 0, (512, 512)) == Box(0, 0, 40, 40)
    assert padded_box(spot(400, 300, (390, 0, 400, 40)), 0, (512, 512)) == Box(360, 0, 400, 40)
    assert padded_box(spot(400, 300, (0, 0, 400, 10)), 0, (512, 512)) == Box(0, 0, 400, 300)


def test_a_blank_mask_has_no_box():
    assert padded_box(Image.new("L", (50, 50)), 32, (512, 512)) is None
    assert is_blank(Image.new("L", (50, 50)))
    assert not is_blank(spot(50, 50, (3, 3, 4, 4)))


def test_alpha_counts_before_luminance_when_something_shines_through():
    picture = Image.new("RGBA", (2, 1), (255, 255, 255, 0))
    picture.putpixel((1, 0), (0, 0, 0, 255))
    assert list(read_mask(picture).get_flattened_data()) == [0, 255]
    picture.putalpha(255)
    assert list(read_mask(picture).get_flattened_data()) == [255, 0]


def test_a_mask_is_rounded_inverted_and_brought_to_the_size():
    greys = Image.new("L", (3, 1))
    for place, value in enumerate((0, 128, 129)):
        greys.putpixel((place, 0), value)
    assert list(prepare_mask(greys, (3, 1)).get_flattened_data()) == [0, 0, 255]
    assert list(prepare_mask(greys, (3, 1), invert=True).get_flattened_data()) == [255, 255, 0]
    assert list(prepare_mask(greys, (3, 1), round=False).get_flattened_data()) == [0, 128, 129]
    assert prepare_mask(spot(10, 10, (0, 0, 5, 10)), (64, 32)).size == (64, 32)


def test_blur_works_along_each_axis_for_itself():
    mask = prepare_mask(spot(65, 65, (32, 32, 33, 33)), (65, 65), blur_x=4)
    values = np.asarray(mask)
    assert values[32].any() and not values[31].any()
    # exp(-x²/2σ²) over its sum, times 255
    weights = np.exp(-(np.arange(-10, 11) ** 2) / 32.0)
    expected = weights / weights.sum() * 255
    assert np.abs(values[32, 22:43] - expected).max() <= 1
    assert kernel_size(4) == 21 and not values[32, :22].any() and not values[32, 43:].any()


@pytest.mark.parametrize(("blur", "size"), [(1, 7), (4, 21), (8, 41), (64, 321), (0.4, 3)])
def test_the_kernel_is_five_times_the_blur(blur, size):
    assert kernel_size(blur) == size


def test_fill_takes_the_colours_around_and_keeps_the_rest():
    picture = smooth(96, 96)
    mask = spot(96, 96, (30, 30, 60, 60))
    filled = np.asarray(fill_masked(picture, mask)).astype(int)
    before, hole = np.asarray(picture).astype(int), np.asarray(mask) > 0
    assert (filled[~hole] == before[~hole]).all()
    around = before[26:64, 26:64].reshape(-1, 3)
    assert (filled[hole].min(0) >= around.min(0) - 12).all()
    assert (filled[hole].max(0) <= around.max(0) + 12).all()


def test_what_is_masked_has_no_part_in_the_fill():
    mask = spot(64, 64, (20, 20, 40, 40))
    one, other = smooth(64, 64), smooth(64, 64)
    other.paste("#ff00ff", (20, 20, 40, 40))
    assert fill_masked(one, mask).tobytes() == fill_masked(other, mask).tobytes()


def test_the_latent_mask_is_a_small_float_grid():
    mask = spot(64, 32, (0, 0, 32, 32))
    grid = latent_mask(mask, (4, 8))
    assert grid.shape == (4, 8) and grid.dtype == np.float32
    assert (grid[:, :3] == 1).all() and (grid[:, 5:] == 0).all()
    soft = latent_mask(noisy(64, 32, channels=1), (4, 8), round=False)
    assert soft.min() >= 0 and soft.max() <= 1 and len(np.unique(soft)) > 2
