"""Where the bits of an invisible mark lie: the methods of the package ``invisible-watermark``.

Both work on the lowest band of a Haar wavelet of the U channel, in blocks of 4x4 (8x8 pixels),
one bit in each. The bit says in which half of a step of STEP a value of the block lies: the largest
singular value ("dwtDctSvd"), or the largest number ("dwtDct"). The singular value is nearly the
block's mean, which JPEG keeps; the largest number is lost with the first JPEG, but it is what most
programs write. How the values get there is ours: by the least change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

STEP = 36.0
"""The package's own; with another one it would not read our marks."""
MARGIN = 3.0
"""By so much the largest number stays above the others: more than rounding takes away."""
HIGHEST = 510.0
"""Of a band: half the sum of four pixels of 8 bits."""


@dataclass(frozen=True)
class Method:
    """How bits are read from and written into blocks [count, 4, 4]."""

    read: Callable[[np.ndarray], np.ndarray]
    """Blocks to what each of them says [count], 0 or 1."""
    written: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """Blocks and bits [count] to blocks that say them."""


def bands_of(pixels: np.ndarray) -> np.ndarray:
    """The blocks [count, 4, 4] of an RGB picture [height, width, 3], row by row."""
    import cv2
    import numpy as np

    # OpenCV's conversion with its rounding: the package reads pictures so.
    plane = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2YUV)[..., 1]
    height, width = (side // 8 * 8 for side in plane.shape)
    fours = plane[:height, :width].reshape(height // 2, 2, width // 2, 2)
    band = fours.sum((1, 3), dtype=np.uint16) / 2
    return band.reshape(height // 8, 4, width // 8, 4).swapaxes(1, 2).reshape(-1, 4, 4)


def changed(blocks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Changes of the blocks as changes of U for each pixel of a picture [height, width]."""
    import numpy as np

    height, width = (side // 8 for side in shape)
    band = blocks.reshape(height, width, 4, 4).swapaxes(1, 2).reshape(height * 4, width * 4)
    plane = np.zeros(shape)
    # The band holds half the sum of four pixels: each of them takes half of the change.
    plane[: height * 8, : width * 8] = (band / 2).repeat(2, 0).repeat(2, 1)
    return plane


def _read_singular(blocks: np.ndarray) -> np.ndarray:
    import numpy as np

    # The package's DCT before it is orthogonal and leaves the singular values as they are.
    return _says(np.linalg.svd(blocks, compute_uv=False)[:, 0])


def _write_singular(blocks: np.ndarray, bits: np.ndarray) -> np.ndarray:
    import numpy as np

    left, values, right = np.linalg.svd(blocks)
    largest = values[:, 0]
    nearest = np.round(largest / STEP - 0.25 - 0.5 * bits)
    wanted = (nearest + 0.25 + 0.5 * bits) * STEP
    # Below the second value the largest would change places with it.
    wanted = np.where(wanted < values[:, 1] + MARGIN, wanted + STEP, wanted)
    direction = left[:, :, 0, None] * right[:, None, 0, :]
    return blocks + (wanted - largest)[:, None, None] * direction


def _read_largest(blocks: np.ndarray) -> np.ndarray:
    return _says(blocks.reshape(-1, 16)[:, 1:].max(1))


def _write_largest(blocks: np.ndarray, bits: np.ndarray) -> np.ndarray:
    import numpy as np

    flat = blocks.reshape(-1, 16)
    rows = np.arange(len(flat))
    place = flat[:, 1:].argmax(1) + 1  # the first number is not compared
    largest = flat[rows, place]
    best, least = flat, np.full(len(flat), np.inf)
    for step in (-1, 0, 1, 2):
        wanted = (largest // STEP + step + 0.25 + 0.5 * bits) * STEP
        # The others make room where they are in the way.
        moved = np.minimum(flat, (wanted - MARGIN)[:, None])
        moved[:, 0] = flat[:, 0]
        moved[rows, place] = wanted
        possible = (wanted > 0) & (wanted < HIGHEST)
        cost = np.where(possible, ((moved - flat) ** 2).sum(1), np.inf)
        best = np.where((cost < least)[:, None], moved, best)
        least = np.minimum(cost, least)
    return best.reshape(-1, 4, 4)


def _says(values: np.ndarray) -> np.ndarray:
    import numpy as np

    return (values % STEP > STEP / 2).astype(np.int64)


METHODS = {
    "dwtDctSvd": Method(_read_singular, _write_singular),
    "dwtDct": Method(_read_largest, _write_largest),
}
"""By the package's names."""
