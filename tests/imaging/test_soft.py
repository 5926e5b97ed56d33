"""Soft inpainting's mask of what has changed."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.imaging.soft import composite_mask, percentile_mean
from modules.requests.generation import SoftInpainting


def latents(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((4, 16, 24)).astype(np.float32)


def mask_of(before, after, repaint=None, **settings):
    repaint = np.ones((16, 24), np.float32) if repaint is None else repaint
    image = composite_mask(before, after, repaint, SoftInpainting(**settings), (192, 128))
    assert image.size == (192, 128) and image.mode == "L"
    return np.asarray(image)


def test_what_did_not_change_stays_the_original():
    assert (mask_of(latents(), latents()) == 0).all()


def test_what_changed_much_is_the_result():
    assert (mask_of(latents(), latents() + 10) == 255).all()


def test_half_shows_through_at_the_threshold():
    # A distance of 0.5 in four channels of 0.25 each.
    values = mask_of(latents(), latents() + 0.25, difference_threshold=0.5)
    assert np.abs(values.astype(int) - 127).max() <= 2


def test_contrast_sharpens_and_influence_follows_the_mask():
    faint = latents() + 0.15
    assert (
        mask_of(latents(), faint, difference_contrast=8).mean()
        < mask_of(latents(), faint, difference_contrast=1).mean()
    )
    left = np.zeros((16, 24), np.float32)
    left[:, :12] = 1
    asked = mask_of(latents(), latents() + 0.4, left, mask_influence=1)
    assert (asked[:, :64] == 255).all() and (asked[:, 128:] == 0).all()


def test_a_change_in_one_place_stays_there():
    after = latents()
    after[:, 5:10, 5:10] += 8
    values = mask_of(latents(), after)
    assert values[60, 60] > 200
    assert (values[:, 130:] == 0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1), st.floats(0, 1))
def test_a_percentile_mean_lies_among_its_values(seed, one, other):
    values = np.random.default_rng(seed).random((9, 7)).astype(np.float32)
    low, high = sorted((one, other))
    means = percentile_mean(values, low, high)
    assert means.min() >= values.min() - 1e-5 and means.max() <= values.max() + 1e-5
    flat = percentile_mean(np.full((6, 6), 3.0, np.float32), low, high)
    assert np.abs(flat - 3).max() < 1e-5


def test_the_middle_percentiles_ignore_a_single_outlier():
    values = np.zeros((9, 9), np.float32)
    values[4, 4] = 100
    assert percentile_mean(values, 0.25, 0.75).max() == 0
    assert percentile_mean(values, 0.9, 1.0)[4, 4] > 50
