"""The arithmetic of merging, on numbers of one weight.

Everything is computed in float32 (float64 where a model is) and rounded once, at the end.
"""

from __future__ import annotations

import torch

from modules.engine.checkpoints.tensor_file import DTYPES


def weighted_sum(a: torch.Tensor, b: torch.Tensor, m: float) -> torch.Tensor:
    """A·(1 - M) + B·M, in the memory of the first; the second is used up."""
    # Not `add_(b, alpha=m)`, which rounds once less and so differs from the formula in its bits.
    return a.mul_(1 - m).add_(b.mul_(m))


def add_difference(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, m: float) -> torch.Tensor:
    """A + (B - C)·M, in the memory of the first; the second is used up."""
    return a.add_(b.sub_(c).mul_(m))


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
