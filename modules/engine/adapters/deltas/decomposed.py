"""DoRA: direction and magnitude of a weight are learnt apart (Liu et al. 2024, equation 5)."""

from __future__ import annotations

import torch
from torch import Tensor

from modules.engine.adapters.deltas.change import DoesNotFit, Parts, like


def decomposed(change: Tensor, parts: Parts, weight: Tensor) -> Tensor:
    """``m * (W + change) / |W + change| - W`` with the magnitudes m of "dora_scale".

    Norms are taken per input (LyCORIS' first form, [1, inputs, …]) or per output ([outputs, 1, …]),
    as the shape of the magnitudes tells; PEFT's "dora_magnitude" is always per output.

    Raises:
        DoesNotFit: there are not as many magnitudes as inputs or outputs.
    """
    of_peft = "dora_scale" not in parts
    (magnitudes,) = like(weight, parts["dora_magnitude" if of_peft else "dora_scale"])
    axis = _axis(magnitudes.flatten() if of_peft else magnitudes, weight)
    moved = weight + change
    others = [place for place in range(weight.ndim) if place != axis]
    norms = torch.linalg.vector_norm(moved, dim=others, keepdim=True)
    shape = [1] * weight.ndim
    shape[axis] = -1
    norms = norms + torch.finfo(torch.float32).eps
    return moved * (magnitudes.reshape(shape) / norms) - weight


def _axis(magnitudes: Tensor, weight: Tensor) -> int:
    count = magnitudes.numel()
    by_output = magnitudes.ndim < 2 or magnitudes.shape[0] == count
    if by_output and count == weight.shape[0]:
        return 0
    if count == weight.shape[1]:
        return 1
    raise DoesNotFit(f"has {count} magnitudes for a weight of {list(weight.shape)}")
