"""The arithmetic of merging, on numbers of one weight.

Everything is computed in float32 (float64 where a model is) and rounded once, at the end.
"""

from __future__ import annotations

import torch

from modules.engine.checkpoints.tensor_file import DTYPES


def weighted_sum(a: torch.Tensor, b: torch.Tensor, m: float) -> torch.Tensor:
    """A·(1 - M) + B·M."""
    return (1 - m) * a + m * b


def add_difference(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, m: float) -> torch.Tensor:
    """A + (B - C)·M."""
    return a + m * (b - c)


def working_dtype(*names: str) -> torch.dtype:
    """The format to compute in."""
    return torch.float64 if "F64" in names else torch.float32


def joint_dtype(first: str, second: str) -> str:
    """The format of a result: the same as both, else the smallest that holds both well."""
    if first == second:
        return first
    widths = {name: DTYPES[name].itemsize for name in (first, second)}
    if widths[first] == widths[second]:  # float16 with bfloat16, or two kinds of eight bits
        return "F32" if widths[first] > 1 else "F16"
    return max(widths, key=lambda name: widths[name])
