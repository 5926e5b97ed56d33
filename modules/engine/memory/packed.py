"""Quantised weights that stay as they are in their file, and are unfolded layer by layer.

A GGUF file holds dozens of numbers in a block of small integers and the scales that they share. In
memory such a weight is a matrix of bytes, [rows, bytes of a row]; the numbers exist for the length
of the layer's call alone. What a LoRA adds stays in its two thin matrices and is added then too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from modules.catalog.gguf import BLOCKS

if TYPE_CHECKING:
    from modules.engine.checkpoints.components import ComponentPlan, Source

HOST_BYTES = 256 * 1024
"""Unfolded at a time on the processor: what comes of it still is in its cache."""
DEVICE_BYTES = 64 * 1024 * 1024
_LOOKED_UP = ("embed_tokens.", "relative_attention_bias.", "embedding.")
"""Parts of names of tables, whose rows are looked up and not multiplied with."""

Blocks = tuple[tuple[str, str], ...]
"""Names of weights and the formats of their blocks."""


@dataclass(frozen=True)
class Product:
    """What a LoRA adds to some rows of a weight: ``strength * wide @ thin``."""

    begin: int
    """The first of the rows."""
    wide: Tensor
    """[rows, rank]"""
    thin: Tensor
    """[rank, columns]"""
    strength: float

    @property
    def bytes(self) -> int:
        """Bytes of memory that it takes."""
        return self.wide.nbytes + self.thin.nbytes


def blocks_of(plan: ComponentPlan) -> Blocks:
    """The weights of a plan that can stay as they are in their file."""
    found = []
    for name, source in plan.sources.items():
        dtype = source.header.tensors[source.tensor].dtype
        straight = not source.transposed and not source.scale and len(source.shape) == 2
        if dtype in BLOCKS and straight and not any(part in name for part in _LOOKED_UP):
            found.append((name, dtype))
    return tuple(sorted(found))


def packed_shape(source: Source) -> tuple[int, int]:
    """Rows and bytes of a row of a quantised weight."""
    form = BLOCKS[source.header.tensors[source.tensor].dtype]
    rows, columns = source.shape
    return rows, columns // form.numbers * form.size


def take_packed_shapes(network: torch.nn.Module, plan: ComponentPlan, blocks: Blocks) -> None:
    """Give the linear layers of a network without memory the shapes of bytes."""
    for name, _ in blocks:
        module, key = _place(network, name)
        if isinstance(module, torch.nn.Linear):
            empty = torch.empty(packed_shape(plan.sources[name]), dtype=torch.uint8, device="meta")
            module._parameters[key] = torch.nn.Parameter(empty, requires_grad=False)


def is_packed(weight: Tensor | None) -> bool:
    """Whether a weight rests in blocks."""
    return weight is not None and weight.dtype == torch.uint8


def shape_of(module: torch.nn.Module) -> tuple[int, ...]:
    """Shape of a layer's weight, whatever it rests in."""
    if is_packed(module.weight) and isinstance(module, torch.nn.Linear):
        return module.out_features, module.in_features
    return tuple(module.weight.shape)


def unfolded(
    raw: Tensor,
    form: str,
    device: torch.device,
    dtype: torch.dtype,
    products: Iterable[Product] = (),
) -> Tensor:
    """The numbers of a weight [rows, columns] that rests as bytes, on a device.

    Args:
        form: of its blocks.
        products: what is added to it.
    """
    from modules.engine.checkpoints.blocks import decoder  # it is above this room

    decode, block, products = decoder(form, Path("model.gguf")), BLOCKS[form], tuple(products)
    raw = raw.to(device)
    rows = len(raw)
    flat = raw.reshape(-1)
    work = torch.float32 if products else dtype
    result = torch.empty(flat.numel() // block.size * block.numbers, dtype=work, device=device)
    most = HOST_BYTES if device.type == "cpu" else DEVICE_BYTES
    step = max(1, most // block.size)
    for start in range(0, flat.numel() // block.size, step):
        values = decode(flat[start * block.size : (start + step) * block.size])
        result[start * block.numbers : start * block.numbers + values.numel()] = values
    result = result.reshape(rows, -1)
    for one in products:
        wide, thin = (part.to(device=device, dtype=work) for part in (one.wide, one.thin))
        result[one.begin : one.begin + len(wide)].addmm_(wide, thin, alpha=one.strength)
    return result.to(dtype)


def formats_within(
    prefix: str, blocks: Mapping[str, str], module: torch.nn.Module
) -> dict[str, str]:
    """The formats of a layer's weights that may rest in blocks, by its own names for them."""
    start = f"{prefix}." if prefix else ""
    if not isinstance(module, torch.nn.Linear):
        return {}
    return {key: blocks[start + key] for key in module._parameters if start + key in blocks}


def _place(network: torch.nn.Module, name: str) -> tuple[torch.nn.Module, str]:
    owner, _, key = name.rpartition(".")
    return network.get_submodule(owner), key
