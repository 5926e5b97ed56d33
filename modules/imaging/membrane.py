"""Carrying known values smoothly into a hole, as a membrane hung over its edge would."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SMALLEST = 2
"""Side in pixels of the coarsest level."""
MARGIN = 4
"""Pixels of known values that a hole is cut out with."""
SWEEPS = 24
"""Relaxations on each level; the coarser level has done the rest of the way."""


def spread(
    values: NDArray[np.float32], known: NDArray[np.bool_], reach: float | None = None
) -> NDArray[np.float32]:
    """Values [height, width, channels] with the unknown ones filled in from the known ones.

    The fill solves Laplace's equation (its value is the mean of its neighbours), from coarse to
    fine. With ``reach`` it fades to 0 at that distance in pixels from the nearest known place.
    Known values come back as they are; without any, the answer is 0.
    """
    if not known.any():
        return np.zeros_like(values)
    if reach is None:
        return _relaxed(values.astype(np.float32), known)
    away = distance(known)
    filled = np.where(known[..., None], values, 0).astype(np.float32)
    wanted = (away > 0) & (away < reach)
    if wanted.any():
        part = _surroundings(wanted)  # the rest is known, or too far away to be reached
        fade = np.clip(1 - away[part] / reach, 0, 1)[..., None]
        relaxed = _relaxed(filled[part], known[part])
        filled[part] = np.where(known[part][..., None], filled[part], relaxed * fade)
    return filled


def distance(known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance in pixels of each place from the nearest known one; 0 there."""
    from cv2 import DIST_L2, DIST_MASK_PRECISE, distanceTransform

    return distanceTransform((~known).astype(np.uint8), DIST_L2, DIST_MASK_PRECISE)


def _surroundings(marks: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The smallest rectangle that holds the marks, and the known values beside them."""
    rows, columns = (np.flatnonzero(marks.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(0, rows[0] - MARGIN), rows[-1] + 1 + MARGIN),
        slice(max(0, columns[0] - MARGIN), columns[-1] + 1 + MARGIN),
    )


def _relaxed(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """One level: start from the level below, then let each unknown place become its mean."""
    keep = known[..., None]
    if known.all():
        return values
    if min(known.shape) <= SMALLEST:
        mean = values[known].mean(axis=0)
        start = np.where(keep, values, mean)
    else:
        start = np.where(keep, values, _enlarged(_relaxed(*_halved(values, known)), known.shape))
    for _ in range(SWEEPS):
        padded = np.pad(start, ((1, 1), (1, 1), (0, 0)), mode="edge")
        around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
        start = np.where(keep, values, around / 4)
    return start


def _halved(
    values: NDArray[np.float32], known: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Means of the known values in squares of 2x2."""
    height, width = known.shape
    grow = ((0, height % 2), (0, width % 2))
    weights = np.pad(known.astype(np.float32), grow)[..., None]
    sums = np.pad(values * known[..., None], (*grow, (0, 0)))
    shape = (weights.shape[0] // 2, 2, weights.shape[1] // 2, 2, -1)
    count = weights.reshape(shape).sum(axis=(1, 3))
    total = sums.reshape(shape).sum(axis=(1, 3))
    return total / np.maximum(count, 1), count[..., 0] > 0


def _enlarged(values: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Twice the size by linear interpolation, cut to ``shape``."""
    from cv2 import INTER_LINEAR, resize

    size = (values.shape[1] * 2, values.shape[0] * 2)
    large = resize(values, size, interpolation=INTER_LINEAR)
    return large.reshape(size[1], size[0], -1)[: shape[0], : shape[1]]
