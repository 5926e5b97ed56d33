"""Arithmetic on boxes: ``[n, 4]`` arrays of left, top, right, bottom in pixels."""

from __future__ import annotations

import numpy as np


def suppress(
    boxes: np.ndarray, scores: np.ndarray, limit: float, *, of_smaller: bool = False, edge: int = 0
) -> np.ndarray:
    """Indices of the boxes that remain when of two that overlap the one with less score goes.

    Greedy non-maximum suppression, best first. Overlap is the intersection over the union, or with
    ``of_smaller`` over the smaller box. ``edge`` 1 counts the pixels of a box with both borders.
    """
    areas = (boxes[:, 2] - boxes[:, 0] + edge) * (boxes[:, 3] - boxes[:, 1] + edge)
    waiting = np.argsort(-scores, kind="stable")
    kept = []
    while waiting.size:
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        corner = np.maximum(boxes[best, :2], boxes[waiting, :2])
        opposite = np.minimum(boxes[best, 2:], boxes[waiting, 2:])
        shared = np.clip(opposite - corner + edge, 0, None).prod(axis=1)
        if of_smaller:
            whole = np.minimum(areas[best], areas[waiting])
        else:
            whole = areas[best] + areas[waiting] - shared
        waiting = waiting[shared <= limit * whole]
    return np.array(kept, dtype=np.int64)


def squared(boxes: np.ndarray) -> np.ndarray:
    """The smallest squares around the boxes, with the same centres."""
    sides = boxes[:, 2:] - boxes[:, :2]
    side = sides.max(axis=1, keepdims=True)
    corner = boxes[:, :2] + sides * 0.5 - side * 0.5
    return np.concatenate([corner, corner + side], axis=1)


def shifted(boxes: np.ndarray, offsets: np.ndarray, edge: int = 1) -> np.ndarray:
    """Boxes whose borders moved by ``offsets``, fractions of their width and height."""
    sides = boxes[:, 2:] - boxes[:, :2] + edge
    return boxes + offsets * np.concatenate([sides, sides], axis=1)
