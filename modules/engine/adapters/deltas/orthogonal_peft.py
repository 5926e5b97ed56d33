"""OFT and BOFT as PEFT keeps them: the inputs of a layer are turned, not its outputs."""

from __future__ import annotations

import torch
from torch import Tensor

from modules.engine.adapters.deltas.change import Change, DoesNotFit, Parts, like


def peft_orthogonal(parts: Parts, weight: Tensor, rank: int | None = None) -> Change:
    """OFT: a block's upper triangle is kept as a row of numbers.

    The rotation is PEFT's default, the Neumann series of Cayley's transform up to the fourth power.
    One row alone stands for all blocks.

    Raises:
        DoesNotFit: the blocks are for another number of inputs.
    """
    (rows,) = like(weight, parts["oft_triangle"])
    size = round((1 + (1 + 8 * rows.shape[-1]) ** 0.5) / 2)
    flat = weight.flatten(1)
    count = flat.shape[1] // size
    if rows.ndim != 2 or size * (size - 1) // 2 != rows.shape[1] or count * size != flat.shape[1]:
        raise DoesNotFit(f"turns blocks of {size} inputs, there are {flat.shape[1]}")
    if rows.shape[0] not in (1, count):
        raise DoesNotFit(f"has {rows.shape[0]} blocks, not {count}")
    skew = torch.zeros(len(rows), size, size, device=rows.device)
    above = torch.triu_indices(size, size, 1, device=rows.device)
    skew[:, above[0], above[1]] = rows
    skew = skew - skew.transpose(1, 2)
    square = skew @ skew
    unit = torch.eye(size, device=rows.device)
    turn = unit + 2 * skew + 2 * square + 2 * square @ skew + square @ square
    turned = torch.einsum(
        "okn,kmn->okm", flat.unflatten(1, (count, size)), turn.expand(count, -1, -1)
    )
    return Change(turned.flatten(1).reshape(weight.shape) - weight)


def peft_butterfly(parts: Parts, weight: Tensor, rank: int | None = None) -> Change:
    """BOFT: "boft_R" [factors, blocks, size, size] turns the inputs, "boft_s" scales the outputs.

    Raises:
        DoesNotFit: the blocks are for another number of inputs, or the scales for other outputs.
    """
    (blocks,) = like(weight, parts["boft_R"])
    turned = weight.flatten(1).T
    if blocks.ndim != 4 or blocks.shape[1] * blocks.shape[2] != len(turned):
        raise DoesNotFit(f"has blocks of {list(blocks.shape)} for {len(turned)} inputs")
    skew = (blocks - blocks.transpose(-1, -2)) / 2
    unit = torch.eye(blocks.shape[-1], device=blocks.device)
    turns = (unit - skew) @ torch.linalg.inv(unit + skew)
    for level, factor in enumerate(turns):
        order = _order(blocks.shape, level)
        placed = torch.empty_like(turned)
        placed[order] = turned
        mixed = torch.einsum("kij,kjo->kio", factor, placed.unflatten(0, factor.shape[:2]))
        turned = mixed.flatten(0, 1)[order]
    result = turned.T
    if "boft_s" in parts:
        (scales,) = like(weight, parts["boft_s"])
        if scales.numel() != len(weight):
            raise DoesNotFit(f"scales {scales.numel()} outputs, not {len(weight)}")
        result = result * scales.reshape(-1, 1)
    return Change(result.reshape(weight.shape) - weight)


def _order(shape: torch.Size, level: int) -> Tensor:
    """The order in which a factor takes the inputs: in each of its groups first the even halves of
    blocks, then the odd ones. A factor alone takes them as they are."""
    factors, count, size = shape[0], shape[1], shape[2]
    places = torch.arange(count * size)
    if factors == 1:
        return places
    groups = count // 2**level
    if not groups or count % 2**level or size % 2:
        raise DoesNotFit(f"has {factors} factors, too many for {count} blocks")
    halves = places.reshape(groups, -1, size // 2)
    return torch.cat([halves[:, 0::2], halves[:, 1::2]], dim=1).flatten()
