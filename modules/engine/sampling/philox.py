"""CUDA's ``torch.randn`` on any machine: Philox 4x32-10 and Box-Muller in numpy.

Salmon et al. (2011), "Parallel Random Numbers: As Easy as 1, 2, 3". Element ``i`` of a call is made
by thread ``i``, from the counter (call, 0, i, 0) under the seed as key, and is the first of the
thread's numbers; that is CUDA's layout for tensors up to the number of threads a GPU runs at once
(hundreds of thousands of elements), which latents do not exceed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_MASK = 0xFFFFFFFF

# curand scales 32-bit integers into (0, 1] and (0, 2 pi] by these single precision numbers.
_UNIT = np.float32(2.3283064e-10)
_TURN = np.float32(2.3283064e-10) * np.float32(6.2831855)


class PhiloxGenerator:
    """A generator whose ``randn`` gives what ``torch.randn`` gives on a CUDA device."""

    def __init__(self, seed: int, offset: int = 0) -> None:
        self.seed = seed & 0xFFFFFFFFFFFFFFFF
        self.offset = offset
        """Number of calls so far."""

    def randn(self, shape: Sequence[int]) -> np.ndarray:
        """Standard normal numbers, float32."""
        count = math.prod(shape)
        first, second = _philox(self.offset, np.arange(count, dtype=np.uint64), self.seed)
        self.offset += 1
        return _box_muller(first, second).reshape(tuple(shape))


def _philox(offset: int, threads: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """First two of the four 32-bit outputs for every thread."""
    words = [np.full_like(threads, offset), np.zeros_like(threads), threads, np.zeros_like(threads)]
    key = [seed & _MASK, seed >> 32]
    low = np.uint64(_MASK)
    shift = np.uint64(32)
    for _ in range(_ROUNDS):
        left = words[0] * _MULTIPLIERS[0]
        right = words[2] * _MULTIPLIERS[1]
        words = [
            (right >> shift) ^ words[1] ^ np.uint64(key[0]),
            right & low,
            (left >> shift) ^ words[3] ^ np.uint64(key[1]),
            left & low,
        ]
        key = [(part + weyl) & _MASK for part, weyl in zip(key, _WEYL, strict=True)]
    return words[0], words[1]


def _box_muller(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The sine half of the Box-Muller transform, as curand pairs its outputs."""
    u = first * _UNIT + _UNIT / 2
    v = second * _TURN + _TURN / 2
    return (np.sqrt(-2.0 * np.log(u)) * np.sin(v)).astype(np.float32)
