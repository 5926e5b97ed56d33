"""Full differences, and those of normalisation layers: the change itself is in the file."""

from __future__ import annotations

from torch import Tensor

from modules.engine.adapters.deltas.change import Change, Parts, like, shaped


def full(parts: Parts, weight: Tensor, rank: int | None = None) -> Change:
    """ "diff" and "diff_b" as they are.

    Raises:
        DoesNotFit: the difference has another shape than the weight.
    """
    (difference,) = like(weight, parts["diff"])
    return Change(shaped(difference, weight), bias_of(parts, weight))


def norm(parts: Parts, weight: Tensor, rank: int | None = None) -> Change:
    """ "w_norm" and "b_norm" of a normalisation layer.

    Raises:
        DoesNotFit: the layer has another width.
    """
    (difference,) = like(weight, parts["w_norm"])
    bias = like(weight, parts["b_norm"])[0].flatten() if "b_norm" in parts else None
    return Change(shaped(difference, weight), bias)


def only_bias(parts: Parts, weight: Tensor, rank: int | None = None) -> Change:
    """A layer of which only the bias was trained."""
    return Change(None, bias_of(parts, weight))


def bias_of(parts: Parts, weight: Tensor) -> Tensor | None:
    """The difference of the bias, if there is one."""
    return like(weight, parts["diff_b"])[0].flatten() if "diff_b" in parts else None
