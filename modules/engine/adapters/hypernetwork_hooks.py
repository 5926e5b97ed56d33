"""Hypernetworks in force: small networks that are put before the keys and values of attention.

A1111 asks them in self-attention and in cross-attention alike, by the width of what comes in.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Hypernetwork:
    """Layers for keys and for values, by the width of what these are made from."""

    name: str
    stamp: Hashable
    """Equal for the same content."""
    layers: Mapping[int, tuple[torch.nn.Sequential, torch.nn.Sequential]]


class HypernetworkHooks:
    """Hypernetworks in force in one denoising network."""

    def __init__(self, network: torch.nn.Module) -> None:
        self._network = network
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []
        self.key: Hashable = ()

    def apply(self, wanted: Sequence[tuple[Hypernetwork, float]]) -> None:
        """Put exactly these before keys and values, in this order."""
        self.remove()
        self.key = hypernetworks_key(wanted)
        for module in self._network.modules():
            for place, name in enumerate(("to_k", "to_v")):
                layer = getattr(module, name, None)
                if isinstance(layer, torch.nn.Linear):
                    self._hook(layer, place, wanted)

    def remove(self) -> None:
        """Take them out again."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self.key = ()

    def _hook(
        self,
        layer: torch.nn.Linear,
        place: int,
        wanted: Sequence[tuple[Hypernetwork, float]],
    ) -> None:
        for one, strength in wanted:
            pair = one.layers.get(layer.in_features)
            if pair is None or not strength:
                continue
            added = pair[place].to(layer.weight.device)

            def before(
                module: torch.nn.Module,
                inputs: tuple[Tensor, ...],
                added: torch.nn.Sequential = added,
                strength: float = strength,
            ) -> tuple[Tensor, ...]:
                x = inputs[0]
                work = x.float()
                return ((work + added(work) * strength).to(x.dtype), *inputs[1:])

            self._hooks.append(layer.register_forward_pre_hook(before))


def hypernetworks_key(wanted: Sequence[tuple[Hypernetwork, float]]) -> Hashable:
    """Equal for the same hypernetworks at the same strengths."""
    return tuple((one.stamp, strength) for one, strength in wanted)
