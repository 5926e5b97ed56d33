"""Token merging: similar places of a picture go through self-attention as one.

Bolya & Hoffman, "Token Merging for Fast Stable Diffusion" (2023, arXiv 2303.17604), as A1111 uses
it: in UNets at the finest level alone (which SDXL's have none of), without random choices. Of every
2x2 places the upper left is kept; of the others the share that is most like a kept one is averaged
into it before self-attention, and gets its result afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from modules.engine.generation.task import PassTask

STRIDE = 2
_BLOCK = "BasicTransformerBlock"


def merging_ratio(options: Mapping[str, Any], kind: str, *, second: bool = False) -> float:
    """The share of places that a pass merges, 0 to 0.9, by the settings that A1111 reads.

    Args:
        kind: "txt2img" or "img2img".
        second: it is the second pass of hires fix.
    """
    own = {"img2img": "token_merging_ratio_img2img"}.get(kind, "")
    own = "token_merging_ratio_hr" if second else own
    return float(options.get(own) or options.get("token_merging_ratio") or 0.0)


def merging_infotext(task: PassTask, merging: TokenMerging) -> dict[str, Any]:
    """A1111's key of a pass that merges."""
    if not merging.blocks:
        return {}
    second = task.first_calls is not None
    return {f"Token merging ratio{' hr' if second else ''}": task.token_merging}


@dataclass(frozen=True)
class Pairing:
    """Which places are averaged into which; all tensors are indices [batch, places, 1]."""

    unmerged: Tensor
    """Among the places that are not kept: those that stay by themselves."""
    merged: Tensor
    """Among the same: those that are averaged into a kept one."""
    into: Tensor
    """Of each merged place: which kept one, among the kept."""
    others: Tensor
    """All places that are not kept, [1, others, 1]."""
    kept: Tensor
    """[1, kept, 1]"""

    @classmethod
    def of(cls, x: Tensor, height: int, width: int, ratio: float) -> Pairing | None:
        """Pair the places of ``x`` [batch, height * width, channels]; None: nothing is merged."""
        others, kept = _split(height, width, x.device)
        count = min(others.shape[1], int(x.shape[1] * ratio))
        if count <= 0 or not kept.shape[1]:
            return None
        metric = x / x.norm(dim=-1, keepdim=True)
        alike = _taken(metric, others) @ _taken(metric, kept).transpose(-1, -2)
        most, nearest = alike.max(dim=-1)
        order = most.argsort(dim=-1, descending=True, stable=True)[..., None]
        merged = order[:, :count]
        return cls(order[:, count:], merged, nearest[..., None].gather(1, merged), others, kept)

    def merge(self, x: Tensor) -> Tensor:
        """[batch, places, channels] to [batch, fewer, channels]."""
        other, kept = _taken(x, self.others), _taken(x, self.kept)
        joined = kept.scatter_reduce(
            1, _wide(self.into, x), _taken(other, self.merged), reduce="mean"
        )
        return torch.cat([_taken(other, self.unmerged), joined], dim=1)

    def unmerge(self, x: Tensor) -> Tensor:
        """The inverse: every merged place gets what it was averaged into."""
        alone, joined = x.split([self.unmerged.shape[1], self.kept.shape[1]], dim=1)
        batch = len(x)
        whole = x.new_empty(batch, self.others.shape[1] + self.kept.shape[1], x.shape[-1])
        others = self.others.expand(batch, -1, -1)
        whole.scatter_(1, _wide(self.kept.expand(batch, -1, -1), x), joined)
        whole.scatter_(1, _wide(others.gather(1, self.unmerged), x), alone)
        whole.scatter_(1, _wide(others.gather(1, self.merged), x), _taken(joined, self.into))
        return whole


class TokenMerging:
    """Merges in a network while it is used as a context manager."""

    def __init__(self, network: torch.nn.Module, ratio: float) -> None:
        """
        Args:
            ratio: share of the places that are merged, 0 (off) to 0.9.
        """
        self._network = network
        self._ratio = ratio
        found = network.modules() if ratio > 0 else ()
        self.blocks = [
            block
            for block in found
            if type(block).__name__ == _BLOCK and not getattr(block, "only_cross_attention", False)
        ]
        """Where it may merge; none in networks without such blocks (SD 3, FLUX.1)."""
        self._size = (0, 0)
        self._hooks: list[Any] = []

    def __enter__(self) -> TokenMerging:
        if self.blocks:
            self._hooks = [self._network.register_forward_pre_hook(self._begin)]
        for block in self.blocks:
            self._hook(block)
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def _begin(self, network: torch.nn.Module, given: tuple[Any, ...]) -> None:
        height, width = given[0].shape[-2:]
        self._size = int(height), int(width)

    def _hook(self, block: torch.nn.Module) -> None:
        pairing: list[Pairing | None] = [None]

        def pair(module: torch.nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            pairing[0] = self._paired(given[0] if given else named["hidden_states"])

        def merge(module: torch.nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
            return None if pairing[0] is None else (pairing[0].merge(given[0]), *given[1:])

        def unmerge(module: torch.nn.Module, given: tuple[Any, ...], output: Tensor) -> Any:
            found, pairing[0] = pairing[0], None
            return None if found is None else found.unmerge(output)

        self._hooks += [
            block.register_forward_pre_hook(pair, with_kwargs=True),
            block.attn1.register_forward_pre_hook(merge),
            block.attn1.register_forward_hook(unmerge),
        ]

    def _paired(self, x: Tensor) -> Pairing | None:
        height, width = self._size
        coarse = math.ceil(math.sqrt(height * width // x.shape[1]))
        if coarse > 1:
            return None
        return Pairing.of(x, height, width, self._ratio)


def _split(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Indices of the places that are not kept, and of the kept: one of each whole 2x2."""
    keeps = torch.zeros(height, width, dtype=torch.bool)
    keeps[: height // STRIDE * STRIDE : STRIDE, : width // STRIDE * STRIDE : STRIDE] = True
    flat = keeps.flatten()
    others, kept = ((~flat).nonzero(), flat.nonzero())
    return others[None].to(device), kept[None].to(device)


def _taken(x: Tensor, index: Tensor) -> Tensor:
    return x.gather(1, _wide(index.expand(len(x), -1, -1), x))


def _wide(index: Tensor, x: Tensor) -> Tensor:
    return index.expand(-1, -1, x.shape[-1])
