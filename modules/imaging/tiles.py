"""A picture cut into overlapping tiles of one size, and put together again without seams."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Tiling:
    """Where the tiles lie. Tiles at the far borders are moved inwards, so that all are whole."""

    width: int
    height: int
    """Of the picture."""
    tile_width: int
    tile_height: int
    lefts: tuple[int, ...]
    tops: tuple[int, ...]

    @classmethod
    def of(cls, width: int, height: int, tile_width: int, tile_height: int, overlap: int) -> Tiling:
        """As few tiles as cover the picture with at least ``overlap`` pixels in common.

        Args:
            overlap: pixels, below both sides of a tile.

        Raises:
            ValueError: the overlap leaves nothing of a tile.
        """
        if not 0 <= overlap < min(tile_width, tile_height):
            raise ValueError(f"an overlap of {overlap} in tiles of {tile_width}x{tile_height}")
        return cls(
            width,
            height,
            tile_width,
            tile_height,
            _starts(width, tile_width, overlap),
            _starts(height, tile_height, overlap),
        )

    @property
    def boxes(self) -> list[tuple[int, int, int, int]]:
        """(left, top, right, bottom) of each tile, row by row; beyond a small picture."""
        return [
            (left, top, left + self.tile_width, top + self.tile_height)
            for top in self.tops
            for left in self.lefts
        ]

    def cut(self, picture: Image.Image) -> list[Image.Image]:
        """The tiles of a picture; where it is smaller than a tile, its border is continued."""
        pixels = np.asarray(picture.convert("RGB"))
        right = max(0, self.tile_width - self.width)
        below = max(0, self.tile_height - self.height)
        pixels = np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge")
        return [
            Image.fromarray(pixels[top:bottom, left:right])
            for left, top, right, bottom in self.boxes
        ]

    def join(self, tiles: Sequence[Image.Image]) -> Image.Image:
        """The picture of these tiles; where they overlap, each fades out towards its border."""
        shape = (max(self.height, self.tile_height), max(self.width, self.tile_width))
        total = np.zeros((*shape, 3), np.float32)
        weights = np.zeros((*shape, 1), np.float32)
        common_down = _common(self.tops, self.tile_height)
        common_across = _common(self.lefts, self.tile_width)
        for (left, top, right, bottom), tile in zip(self.boxes, tiles, strict=True):
            down = _fade(self.tile_height, top > 0, bottom < self.height, common_down)
            across = _fade(self.tile_width, left > 0, right < self.width, common_across)
            weight = (down[:, None] * across[None, :])[..., None]
            pixels = tile.convert("RGB").resize((self.tile_width, self.tile_height))
            total[top:bottom, left:right] += np.asarray(pixels, np.float32) * weight
            weights[top:bottom, left:right] += weight
        joined = np.rint(total / weights).astype(np.uint8)
        return Image.fromarray(joined[: self.height, : self.width])


def _common(starts: tuple[int, ...], side: int) -> int:
    """Pixels that neighbours have in common at least."""
    steps = [after - before for before, after in itertools.pairwise(starts)]
    return side - max(steps) if steps else 0


def _starts(length: int, tile: int, overlap: int) -> tuple[int, ...]:
    if length <= tile:
        return (0,)
    count = -(-(length - overlap) // (tile - overlap))
    step = (length - tile) / (count - 1)
    return tuple(min(round(number * step), length - tile) for number in range(count))


def _fade(length: int, before: bool, after: bool, overlap: int) -> np.ndarray:
    """Weights that rise over the overlap at sides with a neighbour; never 0."""
    weights = np.ones(length, np.float32)
    if overlap > 0:
        ramp = (np.arange(overlap, dtype=np.float32) + 1) / (overlap + 1)
        if before:
            weights[:overlap] *= ramp
        if after:
            weights[-overlap:] *= ramp[::-1]
    return weights
