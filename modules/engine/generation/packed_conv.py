"""Convolutions whose weights are kept in the processor's own order.

oneDNN brings a convolution's weights into blocks that suit the processor, and does so again at
every call; for small pictures that is a good part of the work. Here the blocks are kept.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

MOST_MEGABYTES = 512
"""Of weights that are kept twice. Larger networks spend their time on arithmetic anyway."""


class PackedConv:
    """Stands in for the ``forward`` of one ``Conv2d`` on the CPU in float32."""

    def __init__(self, module: torch.nn.Conv2d) -> None:
        self._module = module
        self._usual: Callable[[Tensor], Tensor] = module.forward
        self._shape: torch.Size | None = None
        self._packed: Tensor | None = None
        self._geometry = (
            list(module.padding),
            list(module.stride),
            list(module.dilation),
            module.groups,
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve ``x`` [batch, channels, height, width]."""
        module = self._module
        if module.padding_mode != "zeros" or x.dtype != torch.float32:
            return self._usual(x)
        if x.shape != self._shape:
            # Per shape, so that a picture never depends on what was made before it.
            self._packed = torch._C._nn.mkldnn_reorder_conv2d_weight(
                module.weight.to_mkldnn(), *self._geometry, list(x.shape)
            )
            self._shape = x.shape
        return torch.ops.mkldnn._convolution_pointwise(
            x, self._packed, module.bias, *self._geometry, "none", [], ""
        )

    def forget(self) -> None:
        """Pack the weights again at the next call."""
        self._shape = self._packed = None


def packable(network: torch.nn.Module) -> list[torch.nn.Conv2d]:
    """The convolutions of a network that are worth packing; none where it does not apply."""
    if not (
        torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    ):
        return []
    found = [
        module
        for module in network.modules()
        if type(module) is torch.nn.Conv2d
        and module.weight.device.type == "cpu"
        and module.weight.dtype == torch.float32
        and not isinstance(module.padding, str)
    ]
    size = sum(module.weight.numel() * 4 for module in found)
    return found if size <= MOST_MEGABYTES * 2**20 else []
