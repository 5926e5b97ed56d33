"""GLoRA: ``W + W A + B`` with low-rank A and B (Chavan et al. 2023)."""

from __future__ import annotations

import torch
from torch import Tensor

from modules.engine.adapters.deltas.change import (
    Change,
    DoesNotFit,
    Parts,
    like,
    scale_of,
    shaped,
    tucker,
)


def generalised(parts: Parts, weight: Tensor, rank: int | None = None) -> Change:
    """``(W A + B) * alpha / rank``, where the order of the factors is told by their shapes.

    LyCORIS 3 keeps A = a1 @ a2 and B = b1 @ b2; before it was A = a2 @ a1 and B = b2 @ b1.

    Raises:
        DoesNotFit: the factors do not fit each other or the weight.
    """
    names = ("glora_a1", "glora_a2", "glora_b1", "glora_b2")
    if any(name not in parts for name in names):
        raise DoesNotFit("lacks one of its four matrices")
    a1, a2, b1, b2 = like(weight, *(parts[name] for name in names))
    if not _is_current(a1, a2, b1, b2, weight):
        a1, a2, b1, b2 = a2, a1, b2, b1
    inputs = weight.shape[1]
    left, right = a1.flatten(1), a2.flatten(1)
    if left.shape[0] != inputs or right.shape[1] != inputs or left.shape[1] != right.shape[0]:
        raise DoesNotFit(f"is for {right.shape[1]} inputs, not {inputs}")
    turned = torch.einsum("oi...,ij,jk->ok...", weight, left, right)
    if "glora_bm" in parts:
        (core,) = like(weight, parts["glora_bm"])
        added = tucker(core, b2.flatten(1), b1.flatten(1).T)
    else:
        added = b1.flatten(1) @ b2.flatten(1)
    change = turned + shaped(added, weight)
    return Change(change * scale_of(parts, left.shape[1]))


def _is_current(a1: Tensor, a2: Tensor, b1: Tensor, b2: Tensor, weight: Tensor) -> bool:
    """Whether a1 is [inputs, rank] and b1 [outputs, rank]."""
    fits = a1.shape[0] == weight.shape[1] and b1.shape[0] == weight.shape[0]
    return fits and a1.shape[1] == a2.shape[0] and b1.shape[1] == b2.shape[0]
