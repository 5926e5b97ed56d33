"""Nothing outside the mask changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.imaging.masks import Box, padded_box, prepare_mask
from modules.imaging.overlay import changed_outside, overlay_mask, paste_back
from tests.imaging.pictures import noisy


@settings(max_examples=60, deadline=None)
@given(
    st.integers(8, 120),
    st.integers(8, 120),
    st.integers(0, 2**32),
    st.integers(0, 6),
    st.integers(0, 16),
    st.sampled_from([(64, 64), (128, 64), (40, 88)]),
)
def test_pixels_outside_the_mask_keep_their_bytes(width, height, seed, blur, padding, size):
    random = np.random.default_rng(seed)
    original = noisy(width, height, seed)
    rough = Image.new("L", (width, height))
    left, top = int(random.integers(0, width)), int(random.integers(0, height))
    rough.paste(255, (left, top, left + 1 + width // 3, top + 1 + height // 3))
    mask = prepare_mask(rough, original.size, blur_x=blur, blur_y=blur)
    box = padded_box(mask, padding, size)
    if box is not None:
        final = paste_back(original, noisy(*size, seed + 1), mask, box)
        assert changed_outside(original, final, mask) == 0
    whole = overlay_mask(mask)
    final = paste_back(original, noisy(width, height, seed + 2), whole)
    assert changed_outside(original, final, mask) == 0
    assert changed_outside(original, final, whole) == 0


def test_full_mask_is_the_result_and_grey_is_between():
    original, result = noisy(8, 8), noisy(8, 8, seed=1)
    assert paste_back(original, result, Image.new("L", (8, 8), 255)).tobytes() == result.tobytes()
    assert paste_back(original, result, None).tobytes() == result.tobytes()
    half = np.asarray(paste_back(original, result, Image.new("L", (8, 8), 128))).astype(int)
    exact = np.asarray(original) * (127 / 255) + np.asarray(result) * (128 / 255)
    assert np.abs(half - exact).max() <= 0.5


def test_the_part_comes_back_at_its_own_place_and_size():
    original = Image.new("RGB", (100, 100))
    box = Box(20, 30, 60, 50)
    final = np.asarray(paste_back(original, Image.new("RGB", (512, 256), "#ffffff"), None, box))
    assert (final[30:50, 20:60] == 255).all()
    assert final.sum() == 40 * 20 * 3 * 255


def test_a_mask_outside_the_box_changes_nothing():
    original = noisy(50, 50)
    final = paste_back(original, noisy(10, 10, 1), Image.new("L", (50, 50), 255), Box(5, 5, 15, 15))
    outside = np.ones((50, 50), bool)
    outside[5:15, 5:15] = False
    assert (np.asarray(final)[outside] == np.asarray(original)[outside]).all()


def test_changed_pixels_are_counted_where_the_mask_is_zero_alone():
    original = noisy(20, 20)
    mask = Image.new("L", (20, 20))
    mask.paste(1, (0, 0, 10, 20))
    other = original.copy()
    for place in ((2, 2), (15, 3), (19, 19)):
        red, green, blue = other.getpixel(place)
        other.putpixel(place, (red, green, (blue + 1) % 256))
    assert changed_outside(original, other, mask) == 2


def test_the_overlay_mask_is_doubled_and_clipped():
    mask = Image.new("L", (4, 1))
    for place, value in enumerate((0, 1, 127, 200)):
        mask.putpixel((place, 0), value)
    assert list(overlay_mask(mask).get_flattened_data()) == [0, 2, 254, 255]


def test_sizes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="size"):
        paste_back(noisy(8, 8), noisy(8, 8), Image.new("L", (9, 8)))
    with pytest.raises(ValueError, match="sizes"):
        changed_outside(noisy(8, 8), noisy(9, 8), Image.new("L", (8, 8)))
