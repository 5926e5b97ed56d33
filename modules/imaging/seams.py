"""How visible a seam is: the break across it against what the picture does anyway."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SCALES = (1, 8, 32)
"""Pixels along the border over which steps are averaged: texture, and steps of whole areas."""
ENOUGH = 8
"""Averages along a border that a scale needs, to be more than chance."""
AROUND = 24
"""How many parallel lines on each side give the picture's own statistics."""
BESIDE = 2
"""Lines next to the border that are not asked: a seam is often two pixels wide."""
UNSEEN = 2.0
"""A break in grey levels that nobody sees, added to both sides of the ratio."""


@dataclass(frozen=True)
class Border:
    """A straight line between two pixels: ``x`` (or ``y``) is the first pixel after it."""

    vertical: bool
    place: int
    start: int
    end: int
    """The stretch of the line, in pixels along it; the end is outside."""


def seam_score(image: Image.Image, border: Border) -> float:
    """The break at a border divided by the median break at lines parallel to it.

    A break is how far the step from one line of pixels to the next lies outside the steps before
    and after it: a slope has none, nor has a slope that changes. About 1 is invisible, 2 can be
    seen, more is glaring. Taken at several scales along the border, because a faint step over a
    long line is seen where a rough texture is not; the worst counts. A line at the picture's very
    edge scores 1.
    """
    pixels = np.asarray(image.convert("RGB")).astype(np.float32)
    lines = pixels if border.vertical else pixels.transpose(1, 0, 2)
    if not 0 < border.place < lines.shape[1] or border.end <= border.start:
        return 1.0
    first = max(0, border.place - AROUND - 1)
    part = lines[border.start : border.end, first : border.place + AROUND + 1]
    steps = np.diff(part, axis=1)  # [along, across, 3]; step i lies between lines i and i + 1
    at = border.place - first - 1
    others = np.abs(np.arange(steps.shape[1]) - at) > BESIDE
    if not others.any():
        return 1.0
    return max(
        _ratio(steps, at, others, scale)
        for scale in SCALES
        if scale == 1 or len(steps) >= ENOUGH * scale
    )


def _ratio(steps: NDArray[np.float32], at: int, others: NDArray[np.bool_], scale: int) -> float:
    length = len(steps) // scale * scale
    means = steps[:length].reshape(length // scale, scale, *steps.shape[1:]).mean(axis=1)
    sizes = np.abs(_outside(means)).mean(axis=(0, 2))
    return float((sizes[at] + UNSEEN) / (np.median(sizes[others]) + UNSEEN))


def _outside(steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far each step lies outside its two neighbours."""
    around = np.pad(steps, ((0, 0), (1, 1), (0, 0)), mode="edge")
    before, after = around[:, :-2], around[:, 2:]
    low, high = np.minimum(before, after), np.maximum(before, after)
    return np.maximum(steps - high, 0) + np.minimum(steps - low, 0)
