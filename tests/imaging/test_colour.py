"""Colours carried from one picture to another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.imaging.colour import LUMINOSITY, match_colours, match_edges, match_histogram
from modules.imaging.membrane import distance, spread
from tests.imaging.pictures import noisy, smooth


def luminosity(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(float) @ np.array(LUMINOSITY)


def test_a_picture_matched_with_itself_stays():
    picture = smooth(64, 64)
    difference = np.asarray(match_colours(picture, picture)).astype(int) - np.asarray(picture)
    assert np.abs(difference).max() <= 8  # LAB in eight bits is that coarse


def test_matching_takes_the_hue_and_keeps_the_luminosity():
    grey = Image.merge("RGB", [smooth(64, 64).convert("L")] * 3)
    reddish = Image.merge(
        "RGB",
        [grey.getchannel(0).point(lambda v: min(255, v + 60))] * 1
        + [grey.getchannel(0), grey.getchannel(0)],
    )
    matched = np.asarray(match_colours(grey, reddish)).astype(float)
    assert matched[..., 0].mean() > matched[..., 1].mean() + 15
    assert (
        np.abs(luminosity(Image.fromarray(matched.astype(np.uint8))) - luminosity(grey)).max() < 3
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 40))
def test_histogram_matching_keeps_the_order_and_takes_the_reference_s_values(seed, one, other):
    values, reference = (np.asarray(noisy(n, n, seed + n, channels=1)) for n in (one, other))
    matched = match_histogram(values, reference)
    order = np.argsort(values.ravel(), kind="stable")
    assert (np.diff(matched.ravel()[order].astype(int)) >= 0).all()
    assert reference.min() <= matched.min() and matched.max() == reference.max()
    assert (match_histogram(reference, reference) == reference).all()


def test_a_colour_shift_is_taken_out_along_the_edge_of_the_mask():
    picture = smooth(96, 96)
    shifted = Image.fromarray(
        np.clip(np.asarray(picture).astype(int) + 10, 0, 255).astype(np.uint8)
    )
    mask = Image.new("L", (96, 96))
    mask.paste(255, (30, 30, 66, 66))
    before, hole = np.asarray(picture).astype(int), np.asarray(mask) > 0
    near = hole & (distance(~hole) < 3)
    fixed = np.asarray(match_edges(picture, shifted, mask)).astype(int)
    unfixed = np.asarray(shifted).astype(int)
    assert np.abs(unfixed - before)[near].mean() > 8
    assert np.abs(fixed - before)[near].mean() < 2
    assert (fixed[~hole] == unfixed[~hole]).all()


@pytest.mark.parametrize("value", [0, 255])
def test_a_mask_without_an_edge_changes_nothing(value):
    result = noisy(20, 20)
    mask = Image.new("L", (20, 20), value)
    assert match_edges(noisy(20, 20, 1), result, mask).tobytes() == result.tobytes()


def test_a_membrane_over_a_slope_is_the_slope():
    height, width = 60, 80
    slope = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
    known = np.ones((height, width), bool)
    known[15:45, 20:60] = False
    holed = np.where(known[..., None], slope, 0).astype(np.float32)
    assert np.abs(spread(holed, known) - slope).max() < 1.5
    assert (spread(holed, known)[known] == slope[known]).all()


def test_a_membrane_stays_between_its_edges_and_fades_with_its_reach():
    values = np.asarray(noisy(40, 40)).astype(np.float32)
    known = np.zeros((40, 40), bool)
    known[:, :10] = True
    filled = spread(np.where(known[..., None], values, 0), known)
    assert values[:, :10].min() - 1e-3 <= filled.min() and filled.max() <= values[:, :10].max()
    faded = spread(np.where(known[..., None], values, 0), known, reach=8)
    assert (faded[:, 18:] == 0).all() and (faded[:, 11] > 0).all()
    assert (spread(values, np.zeros((40, 40), bool)) == 0).all()
