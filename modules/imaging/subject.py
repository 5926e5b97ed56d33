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
"""How far inwards a run of subject must go on, as a share of the picture."""
SHORTEST = 0.1
"""The shortest run along a side that counts as a cut, as a share of the side."""
LIKELIER = 1.5
"""How much likelier a subject's colour is in the middle than along the border."""


def cut_sides(image: Image.Image) -> list[str]:
    """The sides (of left, right, up, down) where the subject goes on beyond the border.

    A colour belongs to the subject when it is more frequent in the picture's middle than along its
    border. A side cuts the subject where such colours run along it and go on inwards. The side
    with the longest run comes first; a subject that lies free, or fills everything, gives none.
    """
    pixels = _small(image)
    subject = _subject(pixels)
    if subject.mean() < 0.01:
        return []
    runs = {side: _longest_run(_band(subject, side)) for side in ("left", "right", "up", "down")}
    cut = {side: run for side, run in runs.items() if run >= SHORTEST}
    return sorted(cut, key=lambda side: -cut[side])


def _small(image: Image.Image) -> NDArray[np.uint8]:
    from cv2 import COLOR_RGB2LAB, cvtColor

    small = image.convert("RGB")
    small.thumbnail((SMALL, SMALL), Image.Resampling.BOX)
    return cvtColor(np.asarray(small), COLOR_RGB2LAB)


def _subject(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the colour is likelier in the middle than along the border."""
    height, width = pixels.shape[:2]
    rim = max(1, round(min(height, width) * 0.06))
    border = np.ones((height, width), bool)
    border[rim:-rim, rim:-rim] = False
    middle = np.zeros((height, width), bool)
    middle[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    place = _bins(pixels)
    inner = _shares(place, middle)
    outer = _shares(place, border)
    return (inner > LIKELIER * outer + 0.002)[place]


def _bins(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    steps = (pixels.astype(np.intp) * np.array([1, 2, 2]) - np.array([0, 128, 128])).clip(0, 255)
    levels = steps * BINS // 256
    return (levels[..., 0] * BINS + levels[..., 1]) * BINS + levels[..., 2]


def _shares(place: NDArray[np.intp], where: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How frequent each colour bin is in a part, its neighbours counting a little."""
    counts = np.bincount(place[where], minlength=BINS**3).astype(float)
    cube = np.pad(counts.reshape(BINS, BINS, BINS), 1, mode="edge")
    for axis in range(3):
        cube = 0.5 * cube + 0.25 * (np.roll(cube, 1, axis) + np.roll(cube, -1, axis))
    smooth = cube[1:-1, 1:-1, 1:-1].ravel()
    return smooth / max(smooth.sum(), 1e-9)


def _band(subject: NDArray[np.bool_], side: str) -> NDArray[np.bool_]:
    """Along a side, where the subject covers most of the first pixels inwards."""
    turned = {"left": subject.T, "right": subject.T[::-1], "up": subject, "down": subject[::-1]}
    rows = turned[side]
    depth = max(1, round(len(rows) * DEPTH))
    return rows[:depth].mean(axis=0) > 0.6


def _longest_run(marks: NDArray[np.bool_]) -> float:
    """The longest unbroken run of marks, as a share of all."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marks.astype(np.int8), [0]])))
    lengths = edges[1::2] - edges[::2]
    return float(lengths.max() / len(marks)) if len(lengths) else 0.0
