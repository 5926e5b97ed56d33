"""LoRA and LoCon: the change is a product of two thin matrices (Hu et al. 2021, equation 3)."""

from __future__ import annotations

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


def low_rank(parts: Parts, weight: Tensor, rank: int | None = None) -> Change:
    """``up @ down * alpha / rank``; with "lora_mid" a convolution in three factors.

    ``rank`` keeps only the first ranks (DyLoRA, A1111's ``dyn``).

    Raises:
        DoesNotFit: the matrices do not fit each other or the weight.
    """
    up, down = like(weight, parts["lora_up"], parts["lora_down"])
    scale = scale_of(parts, down.shape[0])
    if "lora_mid" in parts:
        (mid,) = like(weight, parts["lora_mid"])
        product = tucker(mid, down.flatten(1), up.flatten(1).T)
    else:
        wide, thin = up.flatten(1), down.flatten(1)
        if wide.shape[1] != thin.shape[0]:
            raise DoesNotFit(f"has matrices of {list(up.shape)} and {list(down.shape)}")
        if rank is not None and 0 < rank < thin.shape[0]:
            wide, thin = wide[:, :rank], thin[:rank]
        if len(wide) == len(weight) and thin.shape[1] == weight[0].numel():
            return Change(bias=_bias(parts, weight, scale), product=(wide * scale, thin))
        product = wide @ thin
        if down.ndim > 2:
            product = product.reshape(len(wide), *down.shape[1:])
        elif up.ndim > 2:
            product = product.reshape(len(wide), thin.shape[1], *up.shape[2:])
    return Change(shaped(product, weight) * scale, _bias(parts, weight, scale))


def _bias(parts: Parts, weight: Tensor, scale: float) -> Tensor | None:
    if "lora_up_bias" not in parts:
        return None
    return like(weight, parts["lora_up_bias"])[0].flatten() * scale
