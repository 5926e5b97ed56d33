"""LoHa: two low-rank products, multiplied element by element (FedPara, Hyeon-Woo et al. 2022)."""

from __future__ import annotations

from torch import Tensor

from modules.engine.adapters.deltas.change import Change, Parts, like, scale_of, shaped, tucker


def hadamard(parts: Parts, weight: Tensor, rank: int | None = None) -> Change:
    """``(w1_a @ w1_b) * (w2_a @ w2_b) * alpha / rank``; "hada_t1" and "hada_t2": Tucker form.

    Raises:
        DoesNotFit: the result has another shape than the weight.
    """
    first = _product(parts, weight, "1")
    second = _product(parts, weight, "2")
    scale = scale_of(parts, parts["hada_w1_b"].shape[0])
    return Change(shaped(first * second, weight) * scale)


def _product(parts: Parts, weight: Tensor, which: str) -> Tensor:
    a, b = like(weight, parts[f"hada_w{which}_a"], parts[f"hada_w{which}_b"])
    if f"hada_t{which}" in parts:
        (core,) = like(weight, parts[f"hada_t{which}"])
        return tucker(core, b, a)
    return a.flatten(1) @ b.flatten(1)
