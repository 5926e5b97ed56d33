"""Makes the denoising network of a loaded model faster without changing its pictures."""

from __future__ import annotations

import torch

from modules.engine.generation.attention import LeanAttention, is_plain
from modules.engine.generation.packed_conv import PackedConv, packable


class SwiftNetwork:
    """The shortcuts that are put into one network, and the way to take them out again.

    Packed weights are copies: `forget_weights` before weights change in place, and take the
    shortcuts out before the network takes another's weights.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        self._places: list[tuple[torch.nn.Module, LeanAttention | PackedConv]] = []
        for module in network.modules():
            if hasattr(module, "processor") and is_plain(module):
                self._places.append((module, LeanAttention(module)))
        self._places += [(module, PackedConv(module)) for module in packable(network)]
        for module, shortcut in self._places:
            module.forward = shortcut

    def forget_texts(self) -> None:
        """Free what is remembered of the last job's texts."""
        for _, shortcut in self._places:
            if isinstance(shortcut, LeanAttention):
                shortcut.forget()

    def forget_weights(self) -> None:
        """Drop all copies of weights, and what was computed with them."""
        for _, shortcut in self._places:
            shortcut.forget()

    def remove(self) -> None:
        """Give the network back as it was."""
        for module, _ in self._places:
            module.__dict__.pop("forward", None)
        self._places.clear()
