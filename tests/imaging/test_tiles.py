"""Tiles cut and joined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.imaging.tiles import Tiling


def noise(width, height):
    pixels = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 200),
    st.integers(1, 200),
    st.integers(8, 96),
    st.integers(8, 96),
    st.integers(0, 60),
)
def test_what_is_cut_and_joined_is_the_picture(width, height, tile_width, tile_height, overlap):
    overlap = min(overlap, tile_width - 1, tile_height - 1)
    tiling = Tiling.of(width, height, tile_width, tile_height, overlap)
    picture = noise(width, height)

    tiles = tiling.cut(picture)

    assert {tile.size for tile in tiles} == {(tile_width, tile_height)}
    assert np.array_equal(np.asarray(tiling.join(tiles)), np.asarray(picture))


def test_neighbours_share_at_least_the_overlap_and_no_tile_is_wasted():
    tiling = Tiling.of(1000, 512, 512, 512, 64)

    assert tiling.lefts == (0, 244, 488) or tiling.lefts == (0, 488)
    assert len(tiling.boxes) == len(tiling.lefts)
    assert all(b - a <= 512 - 64 for a, b in zip(tiling.lefts, tiling.lefts[1:], strict=False))


def test_seams_fade():
    tiling = Tiling.of(96, 40, 64, 40, 32)
    black, white = Image.new("RGB", (64, 40)), Image.new("RGB", (64, 40), "white")

    row = np.asarray(tiling.join([black, white]))[16, :, 0].astype(int)

    assert (row[:32] == 0).all()
    assert (row[64:] == 255).all()
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() <= 9


@pytest.mark.parametrize("overlap", [-1, 64, 100])
def test_an_overlap_that_leaves_nothing_is_refused(overlap):
    with pytest.raises(ValueError, match="overlap"):
        Tiling.of(100, 100, 64, 64, overlap)
