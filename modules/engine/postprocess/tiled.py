"""Run an image network over overlapping tiles and melt their seams into each other."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def spans(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """Begin and end of tiles over a side of `length` pixels, spread evenly.

    Neighbours share at least `overlap` pixels. `tile` 0, or longer than the side: one tile.
    """
    if tile <= 0 or tile >= length:
        return [(0, length)]
    overlap = min(overlap, tile - 1)
    count = math.ceil((length - overlap) / (tile - overlap))
    step = (length - tile) / (count - 1)
    return [(int(i * step), int(i * step) + tile) for i in range(count)]


@torch.inference_mode()
def enlarge(
    pixels: np.ndarray,
    network: Callable[[Tensor], Tensor],
    scale: int,
    tile: int,
    overlap: int,
) -> np.ndarray:
    """RGB bytes [height, width, 3] enlarged by `scale`, tile by tile.

    `network` makes [1, 3, h * scale, w * scale] of [1, 3, h, w], from 0 to 1.
    In what two tiles share, one fades into the other. Only one row of tiles is held as floats; the
    result is written row by row.
    """
    height, width = pixels.shape[:2]
    columns = spans(width, tile, overlap)
    result = np.empty((height * scale, width * scale, 3), np.uint8)
    strip: Tensor | None = None
    strip_end = 0
    for top, bottom in spans(height, tile, overlap):
        row = _row(pixels[top:bottom], network, scale, columns)
        if strip is not None:
            _fade(strip[:, -(strip_end - top) * scale :], row, axis=1)
        result[top * scale : bottom * scale] = _bytes(row)
        strip, strip_end = row, bottom
    return result


def _row(
    pixels: np.ndarray,
    network: Callable[[Tensor], Tensor],
    scale: int,
    columns: list[tuple[int, int]],
) -> Tensor:
    """One row of tiles, joined: [3, height, width] float32 on the CPU."""
    width = columns[-1][1]
    row = torch.empty(3, pixels.shape[0] * scale, width * scale)
    end = 0
    for left, right in columns:
        part = torch.from_numpy(pixels[:, left:right].copy())
        planes = part.permute(2, 0, 1)[None].float() / 255
        done = network(planes)[0].float().cpu()
        if end:
            _fade(row[:, :, left * scale : end * scale], done, axis=2)
        row[:, :, left * scale : right * scale] = done
        end = right
    return row


def _fade(before: Tensor, after: Tensor, axis: int) -> None:
    """Let the beginning of `after` along an axis come slowly out of `before`, in place."""
    length = before.shape[axis]
    if length == 0:
        return
    shape = [1, 1, 1]
    shape[axis] = length
    share = ((torch.arange(length) + 0.5) / length).reshape(shape)
    shared = after.narrow(axis, 0, length)
    shared.copy_(before * (1 - share) + shared * share)


def _bytes(planes: Tensor) -> np.ndarray:
    scaled = planes.clamp(0, 1).mul(255).round_().to(torch.uint8)
    return scaled.permute(1, 2, 0).numpy()
