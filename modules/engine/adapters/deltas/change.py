"""What an adapter does to one layer, and the helpers that all kinds share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Parts = Mapping[str, Tensor]
"""The tensors of one entry of an adapter file, by the names of `parts.PARTS`."""


class DoesNotFit(ValueError):  # noqa: N818 - says what is the matter
    """The parts belong to a layer of another shape; the text says which."""


@dataclass(frozen=True)
class Change:
    """What is added at strength 1; float32."""

    weight: Tensor | None = None
    """In the shape of the weight."""
    bias: Tensor | None = None
    """[outputs]"""
    product: tuple[Tensor, Tensor] | None = None
    """Instead of the weight's change: two matrices whose product it is, [outputs, rank] and
    [rank, all the rest]."""
    bias_factor: Tensor | None = None
    """[outputs]: so much of the bias that is there is added to it."""


def multiplied(change: Change, weight: Tensor) -> Tensor | None:
    """The weight's change as one tensor."""
    if change.product is None:
        return change.weight
    return (change.product[0] @ change.product[1]).reshape(weight.shape)


def number(parts: Parts, name: str) -> float | None:
    """A part that is a single number; None when it is not there."""
    found = parts.get(name)
    return None if found is None or found.numel() != 1 else float(found)


def scale_of(parts: Parts, rank: int) -> float:
    """``alpha / rank``, or 1 when the file has no alpha (as in A1111); "scale" wins over both."""
    own = number(parts, "scale")
    if own is not None:
        return own
    alpha = number(parts, "alpha")
    return 1.0 if alpha is None or rank <= 0 else alpha / rank


def like(weight: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
    """The parts in 32 bits, where the weight is."""
    return tuple(part.to(device=weight.device, dtype=torch.float32) for part in parts)


def shaped(change: Tensor, weight: Tensor) -> Tensor:
    """A change in the shape of the weight it is for.

    A linear layer and a convolution of one pixel count as the same. The first convolution of
    models that are shown a picture beside the noise has further inputs; these stay as they are.

    Raises:
        DoesNotFit: the numbers of elements differ.
    """
    if change.numel() == weight.numel() and _fits(change, weight):
        return change.reshape(weight.shape)
    if (
        change.ndim == weight.ndim == 4
        and change.shape[1] == 4
        and weight.shape[1] > 4
        and (change.shape[0], *change.shape[2:]) == (weight.shape[0], *weight.shape[2:])
    ):
        wide = torch.zeros_like(weight)
        wide[:, :4] = change
        return wide
    raise DoesNotFit(f"is for a weight of {list(change.shape)}, not {list(weight.shape)}")


def _fits(change: Tensor, weight: Tensor) -> bool:
    """Whether outputs and inputs agree where a change has them; flat ones are taken as they are."""
    if change.ndim < 2 or weight.ndim < 2:
        return True
    return change.shape[0] == weight.shape[0]


def tucker(core: Tensor, inner: Tensor, outer: Tensor) -> Tensor:
    """[outputs, inputs, h, w] from core [r, s, h, w], ``inner`` [s, inputs], ``outer`` [r, out].

    LyCORIS' way of taking convolutions apart (CP or Tucker decomposition).
    """
    return torch.einsum("rs...,si,ro->oi...", core, inner, outer)
