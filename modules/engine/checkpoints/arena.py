"""Memory for a network's weights: one block that goes back to the system when the network goes.

Weights from the usual allocator are scattered over its heap, which keeps them when they are freed;
after some models of different shapes the process only grows. A block of its own is returned whole.
Huge pages are not asked for: where fresh memory is dear, as in virtual machines, clearing them took
four times as long as the usual pages did.
"""

from __future__ import annotations

import math
import mmap
import sys
from collections.abc import Mapping

import torch

ALIGNMENT = 64
"""Bytes; vector units read fastest from such addresses."""
SMALLEST_BLOCK = 16 * 1024 * 1024
"""Less than this is left to the usual allocator."""

Wanted = Mapping[str, tuple[tuple[int, ...], torch.dtype]]
"""Name to shape and number format."""


def room_for(wanted: Wanted, device: torch.device) -> dict[str, torch.Tensor]:
    """Uninitialised tensors of the given shapes on a device, side by side where that is possible.

    Raises:
        MemoryError, torch.OutOfMemoryError: there is not enough memory.
    """
    size = sum(_span(shape, dtype) for shape, dtype in wanted.values())
    if device.type != "cpu" or not sys.platform.startswith("linux") or size < SMALLEST_BLOCK:
        return {
            name: torch.empty(shape, dtype=dtype, device=device)
            for name, (shape, dtype) in wanted.items()
        }
    block = _block(size)
    made: dict[str, torch.Tensor] = {}
    position = 0
    for name, (shape, dtype) in wanted.items():
        bytes_ = math.prod(shape) * dtype.itemsize
        made[name] = block[position : position + bytes_].view(dtype).reshape(shape)
        position += _span(shape, dtype)
    return made


def _span(shape: tuple[int, ...], dtype: torch.dtype) -> int:
    """Bytes that a tensor takes in the block, its rest included."""
    return -(-math.prod(shape) * dtype.itemsize // ALIGNMENT) * ALIGNMENT


def _block(size: int) -> torch.Tensor:
    """`size` bytes of fresh memory."""
    try:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"{size} bytes are not to be had") from error
    # The tensor holds the buffer, and the buffer the mapping: it goes with the last weight.
    return torch.frombuffer(memory, dtype=torch.uint8)
