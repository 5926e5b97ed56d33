"""LoKr: a Kronecker product of two matrices, each of which may be low-rank (KronA, 2022)."""

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


def kronecker(parts: Parts, weight: Tensor, rank: int | None = None) -> Change:
    """``w1 ⊗ w2 * alpha / rank``; the scale is 1 when both are whole matrices.

    Raises:
        DoesNotFit: a factor is missing, or the result has another shape than the weight.
    """
    first, first_rank = _factor(parts, weight, "1")
    second, second_rank = _factor(parts, weight, "2")
    while first.ndim < second.ndim:
        first = first.unsqueeze(-1)
    ranks = second_rank or first_rank
    scale = scale_of(parts, ranks) if ranks else 1.0
    return Change(shaped(torch.kron(first, second.contiguous()), weight) * scale)


def _factor(parts: Parts, weight: Tensor, which: str) -> tuple[Tensor, int]:
    """One of the two matrices, and its rank (0 for a whole one)."""
    whole = parts.get(f"lokr_w{which}")
    if whole is not None:
        return like(weight, whole)[0], 0
    try:
        a, b = like(weight, parts[f"lokr_w{which}_a"], parts[f"lokr_w{which}_b"])
    except KeyError as error:
        raise DoesNotFit(f"lacks {error}") from None
    core = parts.get(f"lokr_t{which}")
    if core is not None:
        return tucker(like(weight, core)[0], b, a), b.shape[0]
    product = a.flatten(1) @ b.flatten(1)
    if b.ndim > 2:
        product = product.reshape(len(product), *b.shape[1:])
    return product, b.shape[0]
