"""The arithmetic of a merge: layers' weights in 32 bits, and what adapters add to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from modules.engine.adapters.targets import Piece

Place = tuple[str, str]
"""Network and path of a layer in it."""


@dataclass
class Layer:
    """A layer's weights while they are computed, in 32 bits."""

    weight: Tensor
    bias: Tensor | None
    changed: set[str] = field(default_factory=set)
    """"weight", "bias", or both."""


def joined(pieces: Sequence[Piece], work: Mapping[Place, Layer]) -> Tensor:
    """The weights of the pieces, one below the other."""
    found = [_cut(work[piece.network, piece.module].weight, piece) for piece in pieces]
    return found[0] if len(found) == 1 else torch.cat(found)


def add(
    pieces: Sequence[Piece],
    work: Mapping[Place, Layer],
    change: Tensor,
    strength: float,
    name: str,
) -> None:
    """Add ``strength * change`` to the pieces' weights or biases; ``change`` has all their rows."""
    begin = 0
    for piece in pieces:
        layer = work[piece.network, piece.module]
        count = len(_cut(layer.weight, piece))
        rows = change[begin : begin + count]
        begin += count
        if name == "bias" and layer.bias is None:
            layer.bias = torch.zeros(len(layer.weight), device=layer.weight.device)
        _cut(getattr(layer, name), piece).add_(rows, alpha=strength)
        layer.changed.add(name)


def add_product(
    pieces: Sequence[Piece],
    work: Mapping[Place, Layer],
    product: tuple[Tensor, Tensor],
    strength: float,
) -> None:
    """Add ``strength`` times the product of two matrices to the weights, without making it."""
    wide, thin = product
    begin = 0
    for piece in pieces:
        layer = work[piece.network, piece.module]
        rows = _cut(layer.weight, piece).flatten(1)
        rows.addmm_(wide[begin : begin + len(rows)], thin, alpha=strength)
        begin += len(rows)
        layer.changed.add("weight")


def scale_bias(
    pieces: Sequence[Piece], work: Mapping[Place, Layer], factor: Tensor, strength: float
) -> None:
    """Add ``strength * factor`` times the bias to it, where there is one."""
    begin = 0
    for piece in pieces:
        layer = work[piece.network, piece.module]
        count = len(_cut(layer.weight, piece))
        if layer.bias is not None:
            bias = _cut(layer.bias, piece)
            bias.addcmul_(bias.clone(), factor[begin : begin + count], value=strength)
            layer.changed.add("bias")
        begin += count


def kept(weight: Tensor) -> Tensor:
    """A copy from which the weight can be restored exactly.

    In main memory, as devices have none to spare; and in 16 bits where that loses nothing, as with
    weights that came from a file in 16 bits.
    """
    copy = weight.detach().to("cpu", copy=True)
    if copy.dtype == torch.float32:
        for dtype in (torch.float16, torch.bfloat16):
            short = copy.to(dtype)
            if torch.equal(short.float(), copy):
                return short
    return copy


def _cut(rows: Tensor, piece: Piece) -> Tensor:
    return rows if piece.rows is None else rows[piece.rows[0] : piece.rows[1]]
