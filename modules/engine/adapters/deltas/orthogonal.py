"""OFT: the outputs are turned by a block-diagonal rotation (Qiu et al. 2023)."""

from __future__ import annotations

import torch
from torch import Tensor

from modules.engine.adapters.deltas.change import Change, DoesNotFit, Parts, like, number


def orthogonal(parts: Parts, weight: Tensor, rank: int | None = None) -> Change:
    """kohya's and LyCORIS' "oft_blocks": skew-symmetric blocks [blocks, size, size].

    ``R = (I + Q)(I - Q)⁻¹`` (Cayley); "alpha" times the number of outputs bounds the norm of Q.

    Raises:
        DoesNotFit: the blocks are for another number of outputs.
    """
    (blocks,) = like(weight, parts["oft_blocks"])
    constraint = (number(parts, "alpha") or 0.0) * len(weight)
    return Change(_rescaled(_turned(cayley(blocks, constraint), weight), parts, weight) - weight)


def rotated(parts: Parts, weight: Tensor, rank: int | None = None) -> Change:
    """The older "oft_diag" of LyCORIS: the blocks are the rotations themselves.

    Raises:
        DoesNotFit: the blocks are for another number of outputs.
    """
    (blocks,) = like(weight, parts["oft_diag"])
    return Change(_rescaled(_turned(blocks, weight), parts, weight) - weight)


def butterfly(parts: Parts, weight: Tensor, rank: int | None = None) -> Change:
    """BOFT (Liu et al. 2024), as LyCORIS keeps it: "oft_blocks" [factors, blocks, size, size].

    Factor i mixes outputs that are ``2^i * size / 2`` apart.

    Raises:
        DoesNotFit: the blocks are for another number of outputs.
    """
    (blocks,) = like(weight, parts["oft_blocks"])
    count, size = blocks.shape[1], blocks.shape[2]
    if count * size != len(weight) or size % 2:
        raise DoesNotFit(f"turns {count * size} outputs, not {len(weight)}")
    constraint = (number(parts, "alpha") or 0.0) * len(weight)
    turned = weight
    for level, factor in enumerate(cayley(blocks, constraint)):
        distance = 2**level * (size // 2)
        if len(weight) % (2 * distance):
            raise DoesNotFit(f"has {len(blocks)} factors, too many for {len(weight)} outputs")
        mixed = turned.unflatten(0, (-1, 2, distance)).transpose(1, 2).flatten(0, 2)
        mixed = torch.einsum("bij,bj...->bi...", factor, mixed.unflatten(0, (-1, size)))
        turned = mixed.flatten(0, 1).unflatten(0, (-1, distance, 2)).transpose(1, 2).flatten(0, 2)
    return Change(_rescaled(turned, parts, weight) - weight)


def cayley(blocks: Tensor, constraint: float = 0.0) -> Tensor:
    """Rotations [..., size, size] from unconstrained blocks; ``constraint`` 0 is none."""
    skew = blocks - blocks.transpose(-1, -2)
    if constraint > 0:
        norm = torch.linalg.vector_norm(skew)
        skew = skew * ((norm.clamp(max=constraint) + 1e-8) / (norm + 1e-8))
    unit = torch.eye(skew.shape[-1], device=skew.device, dtype=skew.dtype)
    return (unit + skew) @ torch.linalg.inv(unit - skew)


def _turned(rotations: Tensor, weight: Tensor) -> Tensor:
    """Outputs in blocks, each times its rotation (from the left, transposed)."""
    count, size = rotations.shape[0], rotations.shape[-1]
    if rotations.ndim != 3 or count * size != len(weight):
        raise DoesNotFit(f"turns {count * size} outputs, not {len(weight)}")
    grouped = weight.unflatten(0, (count, size))
    return torch.einsum("knm,kn...->km...", rotations, grouped).flatten(0, 1)


def _rescaled(turned: Tensor, parts: Parts, weight: Tensor) -> Tensor:
    if "rescale" not in parts:
        return turned
    (factors,) = like(weight, parts["rescale"])
    if factors.numel() != len(weight):
        raise DoesNotFit(f"rescales {factors.numel()} outputs, not {len(weight)}")
    return turned * factors.reshape(-1, *[1] * (weight.ndim - 1))
