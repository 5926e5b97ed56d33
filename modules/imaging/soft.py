"""Soft inpainting, the part in pixels: how much of the original shows through, by what changed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from modules.imaging.resizing import STRETCH, resize_to
from modules.requests.generation import SoftInpainting

SPREAD, REACH = 1.5, 2
"""Of the window that looks at changes: standard deviation and radius, in latent pixels."""
SMOOTHING = 4
"""Radius in pixels of the blur that hides the latent grid in the mask."""


def composite_mask(
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    repaint: NDArray[np.float32],
    settings: SoftInpainting,
    size: tuple[int, int],
) -> Image.Image:
    """Where the result replaces the original, as an L mask of ``size`` (width, height).

    A place counts as changed by the distance of its latents before and after, relative to
    ``difference_threshold`` and, by ``mask_influence``, to how much the mask asked for.

    Args:
        before, after: latents [channels, height, width].
        repaint: the latent mask [height, width], 1 where everything may change.
    """
    change = np.linalg.norm(after.astype(np.float32) - before.astype(np.float32), axis=0)
    change = percentile_mean(change, 0.9, 1.0)
    change = percentile_mean(change, 0.25, 0.75)
    half = settings.difference_threshold * _reluctance(repaint, settings)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        kept = 1 / (1 + np.nan_to_num(change / half, nan=0.0) ** settings.difference_contrast)
    mask = Image.fromarray(np.rint(255 * (1 - _smootherstep(kept))).astype(np.uint8))
    return resize_to(mask, STRETCH, *size).filter(ImageFilter.GaussianBlur(SMOOTHING))


def percentile_mean(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """Around each place, the mean of the values between two percentiles of a Gaussian window.

    (0, 1) is a Gaussian blur, (0.5, 0.5) nearly a median, (0.9, 1) nearly a maximum.
    """
    offsets = range(-REACH, REACH + 1)
    around = np.pad(values, REACH)
    inside = np.pad(np.ones_like(values), REACH)
    height, width = values.shape
    windows, weights = [], []
    for down in offsets:
        for across in offsets:
            part = np.s_[REACH + down :, REACH + across :]
            windows.append(around[part][:height, :width])
            weight = np.exp(-(down * down + across * across) / (2 * SPREAD * SPREAD))
            weights.append(inside[part][:height, :width] * weight)
    order = np.argsort(np.stack(windows), axis=0)
    sorted_values = np.take_along_axis(np.stack(windows), order, axis=0)
    ends = np.cumsum(np.take_along_axis(np.stack(weights), order, axis=0), axis=0)
    total = ends[-1]
    starts = np.concatenate([np.zeros_like(ends[:1]), ends[:-1]])
    first, last = _at_least_one_wide(low * total, high * total, total)
    share = np.clip(np.minimum(ends, last) - np.maximum(starts, first), 0, None)
    return ((sorted_values * share).sum(axis=0) / share.sum(axis=0)).astype(np.float32)


def _at_least_one_wide(
    first: NDArray[np.float32], last: NDArray[np.float32], total: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The range widened to one pixel's weight, so that it never falls between two values."""
    lacking = np.maximum(0, np.minimum(1, total) - (last - first)) / 2
    first, last = first - lacking, last + lacking
    shift = np.maximum(0, -first) - np.maximum(0, last - total)
    return first + shift, last + shift


def _reluctance(repaint: NDArray[np.float32], settings: SoftInpainting) -> NDArray[np.float32]:
    """How much the mask holds back: 1 where it has no influence, 0 inside, huge outside."""
    outside = 1 - np.clip(repaint, 0, 1) ** (settings.preservation_strength / 2)
    mixed = 0.5 * (1 - settings.mask_influence) + outside * settings.mask_influence
    return (mixed / (1.00001 - mixed)).astype(np.float32)


def _smootherstep(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Perlin's 6x⁵ - 15x⁴ + 10x³."""
    return x * x * x * (x * (6 * x - 15) + 10)
