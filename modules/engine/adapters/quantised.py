"""Adapters on weights that rest in the blocks of a quantised file.

What a LoRA adds is a product of two thin matrices. It is kept so, and added whenever the layer
unfolds its weight: a quantised model stays as small as it is. Other kinds of adapters need the
whole weight; the layers that they change are kept unfolded while they are in force.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from modules.engine.adapters.layer_work import Layer, Place, kept
from modules.engine.adapters.targets import Piece
from modules.engine.memory import Product, form_of, is_packed, lodging_of, shape_of, unfolded


def rests_in_blocks(network: torch.nn.Module, path: str) -> bool:
    """Whether a layer's weight rests in blocks when no adapter has changed it."""
    return f"{path}.weight" in _formats(network)


def whole_weight(network: torch.nn.Module, path: str) -> Tensor | None:
    """A layer's weight in 32 bits if it rests in blocks now, else None."""
    weight = network.get_submodule(path).weight
    if not is_packed(weight):
        return None
    form = _formats(network)[f"{path}.weight"]
    return unfolded(weight.detach(), form, weight.device, torch.float32)


def hollow_layer(network: torch.nn.Module, path: str) -> Layer:
    """A layer whose weight is there by its shape only, and has no memory; with its own bias."""
    module = network.get_submodule(path)
    device = module.weight.device
    bias = None if module.bias is None else module.bias.to(dtype=torch.float32, copy=True)
    return Layer(torch.zeros((), device=device).expand(shape_of(module)), bias)


def products_of(
    pieces: Sequence[Piece],
    product: tuple[Tensor, Tensor],
    strength: float,
    work: Mapping[Place, Layer],
) -> Iterator[tuple[Place, Product]]:
    """What each of the pieces gets of a product that has the rows of all of them."""
    wide, thin = product
    begin = 0
    for piece in pieces:
        rows = piece.rows or (0, len(work[piece.network, piece.module].weight))
        count = rows[1] - rows[0]
        share = Product(rows[0], short(wide[begin : begin + count]), short(thin), strength)
        yield (piece.network, piece.module), share
        begin += count


def lend(network: torch.nn.Module, path: str, products: list[Product]) -> None:
    """Add these products to a layer's weight whenever it unfolds."""
    lodging = lodging_of(network)
    assert lodging is not None
    lodging.products[f"{path}.weight"] = products


def take_back(network: torch.nn.Module, path: str) -> None:
    """Add nothing any more to a layer's weight."""
    lodging = lodging_of(network)
    if lodging is not None:
        lodging.products.pop(f"{path}.weight", None)


def lent_bytes(network: torch.nn.Module) -> int:
    """Bytes of all products that are added to a network's weights."""
    lodging = lodging_of(network)
    if lodging is None:
        return 0
    return sum(one.bytes for products in lodging.products.values() for one in products)


def resting_format(network: torch.nn.Module) -> torch.dtype:
    """In what an unfolded weight of a network is kept."""
    return form_of(network).rest


def short(matrix: Tensor) -> Tensor:
    """A matrix in 16 bits where that loses nothing; a copy of its own."""
    return kept(matrix).to(matrix.device)


def _formats(network: torch.nn.Module) -> dict[str, str]:
    lodging = lodging_of(network)
    return {} if lodging is None else lodging.blocks
