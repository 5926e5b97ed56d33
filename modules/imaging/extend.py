"""Growing a picture: which parts of the larger canvas are painted in which order and window.

All boxes are in pixels of the finished canvas, in which the original lies from the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from modules.imaging.masks import Box

SIDES = ("left", "right", "up", "down")
"""The order in which sides grow."""


@dataclass(frozen=True)
class Window:
    """One rendering: the part of the canvas it sees and the new part it paints."""

    box: Box
    paint: Box


@dataclass(frozen=True)
class Stretch:
    """A side growing by as much as one row or column of windows can paint."""

    side: str
    before: Box
    """What exists already."""
    paint: Box
    """What is new."""
    windows: tuple[Window, ...]


@dataclass(frozen=True)
class Canvas:
    """The finished size and where the original lies in it."""

    size: tuple[int, int]
    original: Box

    @classmethod
    def grown(cls, size: tuple[int, int], pixels: Mapping[str, int]) -> Canvas:
        """The canvas around a picture of ``size`` that grows by ``pixels`` at each side."""
        left, right, up, down = (pixels.get(side, 0) for side in SIDES)
        width, height = size
        return cls(
            (left + width + right, up + height + down), Box(left, up, left + width, up + height)
        )

    @property
    def pixels(self) -> dict[str, int]:
        """By how much each side grows; sides that do not are left out."""
        box = self.original
        amounts = (box.left, self.size[0] - box.right, box.top, self.size[1] - box.bottom)
        return {side: n for side, n in zip(SIDES, amounts, strict=True) if n > 0}

    def stretches(self, processing: tuple[int, int]) -> list[Stretch]:
        """Side after side, each in as many stretches as windows of ``processing`` size need.

        A stretch is at most half a window deep, so that every window sees as much as it paints. A
        canvas smaller than a window gets smaller windows of the same aspect ratio.
        """
        exists, found = self.original, []
        for side in SIDES:
            while (left := self._missing(side, exists)) > 0:
                deepest = _deepest(side, exists, processing)
                pixels = -(-left // -(-left // deepest))  # equal shares
                paint = _beside(side, exists, pixels)
                after = exists.union(paint)
                windows = _row(side, paint, after, window_size(after.size, processing))
                found.append(Stretch(side, exists, paint, windows))
                exists = after
        return found

    def tiles(self, processing: tuple[int, int]) -> list[Window]:
        """Windows over the whole canvas that paint something new.

        Neighbours overlap by as many pixels as the picture grows, by half a window at most, and
        meet in the middle of that.
        """
        wide, high = window_size(self.size, processing)
        overlap = max(self.pixels.values(), default=0)
        columns = _along(0, self.size[0], wide, min(overlap, wide // 2))
        rows = _along(0, self.size[1], high, min(overlap, high // 2))
        windows = [
            Window(Box(x, y, x_end, y_end), Box(left, top, right, bottom))
            for y, y_end, top, bottom in rows
            for x, x_end, left, right in columns
        ]
        return [window for window in windows if not _holds(self.original, window.paint)]

    def beyond(self, side: str) -> Box:
        """All of the canvas that lies on one side of the original."""
        width, height = self.size
        return {
            "left": Box(0, 0, self.original.left, height),
            "right": Box(self.original.right, 0, width, height),
            "up": Box(0, 0, width, self.original.top),
            "down": Box(0, self.original.bottom, width, height),
        }[side]

    def _missing(self, side: str, exists: Box) -> int:
        return {
            "left": exists.left,
            "right": self.size[0] - exists.right,
            "up": exists.top,
            "down": self.size[1] - exists.bottom,
        }[side]


def window_size(size: tuple[int, int], processing: tuple[int, int]) -> tuple[int, int]:
    """The processing size, scaled down with its aspect ratio where the canvas is smaller."""
    scale = min(1.0, size[0] / processing[0], size[1] / processing[1])
    return (
        min(size[0], max(1, round(processing[0] * scale))),
        min(size[1], max(1, round(processing[1] * scale))),
    )


def extend_edges(pixels: NDArray[np.uint8], known: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A canvas whose unknown places take the colour of the nearest known one, softer far away.

    Args:
        pixels: [height, width, 3].
        known: [height, width]; known places come back as they are.
    """
    if known.all() or not known.any():
        return pixels
    from cv2 import (
        DIST_L2,
        DIST_LABEL_PIXEL,
        DIST_MASK_5,
        GaussianBlur,
        distanceTransformWithLabels,
    )

    away, labels = distanceTransformWithLabels(
        (~known).astype(np.uint8), DIST_L2, DIST_MASK_5, labelType=DIST_LABEL_PIXEL
    )
    colours = np.zeros((labels.max() + 1, 3), np.uint8)
    colours[labels[known]] = pixels[known]
    nearest = colours[labels]
    softer = nearest.astype(np.float32)
    for sigma in (2.0, 6.0, 18.0):
        # Streaks of single pixels would be painted as streaks: blur more the farther they reach.
        share = np.clip(away / (4 * sigma), 0, 1)[..., None]
        softer += (GaussianBlur(nearest, (0, 0), sigma).astype(np.float32) - softer) * share
    return np.where(known[..., None], pixels, np.rint(softer).astype(np.uint8))


def _deepest(side: str, exists: Box, processing: tuple[int, int]) -> int:
    """How many pixels a side can grow by at once."""
    wide, high = processing
    if side in ("left", "right"):
        return max(1, min(int(wide * min(1, exists.height / high)) // 2, exists.width))
    return max(1, min(int(high * min(1, exists.width / wide)) // 2, exists.height))


def _beside(side: str, exists: Box, pixels: int) -> Box:
    return {
        "left": Box(exists.left - pixels, exists.top, exists.left, exists.bottom),
        "right": Box(exists.right, exists.top, exists.right + pixels, exists.bottom),
        "up": Box(exists.left, exists.top - pixels, exists.right, exists.top),
        "down": Box(exists.left, exists.bottom, exists.right, exists.bottom + pixels),
    }[side]


def _row(side: str, paint: Box, after: Box, size: tuple[int, int]) -> tuple[Window, ...]:
    """Windows along a stretch; each paints what those before it have left."""
    wide, high = size
    if side in ("left", "right"):
        wide = max(wide, min(after.width, 2 * paint.width))  # a sliver, too, sees what it goes on
        x = paint.left if side == "left" else paint.right - wide
        return tuple(
            Window(Box(x, start, x + wide, end), Box(paint.left, first, paint.right, last))
            for start, end, first, last in _along(after.top, after.height, high, high // 4)
        )
    high = max(high, min(after.height, 2 * paint.height))
    y = paint.top if side == "up" else paint.bottom - high
    return tuple(
        Window(Box(start, y, end, y + high), Box(first, paint.top, last, paint.bottom))
        for start, end, first, last in _along(after.left, after.width, wide, wide // 4)
    )


def _along(origin: int, length: int, window: int, overlap: int) -> list[tuple[int, int, int, int]]:
    """Windows over a line: where each begins and ends, and which part of the line is its own.

    Parts meet in the middle of the overlap: near its border a window sees little and decodes badly.
    """
    starts = [origin + start for start in _starts(length, window, overlap)]
    meets = [(after + before + window) // 2 for before, after in pairwise(starts)]
    firsts, lasts = [origin, *meets], [*meets, origin + length]
    return [
        (start, start + window, first, last)
        for start, first, last in zip(starts, firsts, lasts, strict=True)
    ]


def _starts(length: int, window: int, overlap: int) -> list[int]:
    """Where windows begin that cover ``length`` evenly with at least ``overlap`` in common."""
    if length <= window:
        return [0]
    count = -(-(length - overlap) // max(1, window - overlap))
    return [round(i * (length - window) / (count - 1)) for i in range(count)]


def _holds(outer: Box, inner: Box) -> bool:
    return outer.union(inner) == outer
