"""Circular padding: pictures whose right edge continues at the left one, and top at bottom."""

from __future__ import annotations

from collections.abc import Iterable

import torch


def set_circular_padding(networks: Iterable[torch.nn.Module], on: bool) -> None:
    """Switch every padded convolution of the networks between circular and zero padding.

    Weights are not touched and nothing is rebuilt; switching back restores the exact old results.
    """
    mode = "circular" if on else "zeros"
    for network in networks:
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d) and any(
                width != 0 for width in module._reversed_padding_repeated_twice
            ):
                module.padding_mode = mode
