"""Which sides of a picture cut through its subject."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SMALL = 96
"""Longer side in pixels of the picture that is looked at."""
BINS = 8
"""Colour bins per LAB channel."""
DEPTH = 0.08
"""How deep the band along a side is, as a share of the picture."""
SHORTEST, LONGEST = 0.08, 0.95
"""The shortest and the longest run along a side that counts as a cut, as shares of the side."""
FREQUENT = 0.01
"""A colour with this share of a side belongs there."""


def cut_sides(image: Image.Image) -> list[str]:
    """The sides (of left, right, up, down) where the subject goes on beyond the border.

    The background surrounds a subject, so its colours are found at several sides. A side cuts the
    subject where an unbroken run along it has colours that at most one other side has too. The
    side with the longest run comes first; a subject that lies free, or fills everything, gives
    none.
    """
    place = _bins(_small(image))
    bands = {
        "left": _band(place.T),
        "right": _band(place.T[::-1]),
        "up": _band(place),
        "down": _band(place[::-1]),
    }
    shares = {side: _shares(band) for side, band in bands.items()}
    runs = {}
    for side, band in bands.items():
        others = np.stack([share for other, share in shares.items() if other != side])
        background = np.sort(others, axis=0)[-2] >= FREQUENT
        runs[side] = _longest_run((~background)[band].mean(axis=0) > 0.6)
    cut = {side: run for side, run in runs.items() if SHORTEST <= run <= LONGEST}
    return sorted(cut, key=lambda side: -cut[side])


def _small(image: Image.Image) -> NDArray[np.uint8]:
    from cv2 import COLOR_RGB2LAB, cvtColor

    small = image.convert("RGB")
    small.thumbnail((SMALL, SMALL), Image.Resampling.BOX)
    return cvtColor(np.asarray(small), COLOR_RGB2LAB)


def _bins(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The number of each pixel's colour bin; a and b, which vary less, in half as wide steps."""
    steps = (pixels.astype(np.intp) * np.array([1, 2, 2]) - np.array([0, 128, 128])).clip(0, 255)
    levels = steps * BINS // 256
    return (levels[..., 0] * BINS + levels[..., 1]) * BINS + levels[..., 2]


def _band(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """The first rows of a picture that was turned so that they lie along the side."""
    return rows[: max(1, round(len(rows) * DEPTH))]


def _shares(place: NDArray[np.intp]) -> NDArray[np.float64]:
    """How frequent each colour bin is, its neighbours counting a little."""
    counts = np.bincount(place.ravel(), minlength=BINS**3).astype(float)
    cube = np.pad(counts.reshape(BINS, BINS, BINS), 1, mode="edge")
    for axis in range(3):
        cube = 0.5 * cube + 0.25 * (np.roll(cube, 1, axis) + np.roll(cube, -1, axis))
    smooth = cube[1:-1, 1:-1, 1:-1].ravel()
    return smooth / max(smooth.sum(), 1e-9)


def _longest_run(marks: NDArray[np.bool_]) -> float:
    """The longest unbroken run of marks, as a share of all."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marks.astype(np.int8), [0]])))
    lengths = edges[1::2] - edges[::2]
    return float(lengths.max() / len(marks)) if len(lengths) else 0.0
