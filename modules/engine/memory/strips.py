"""A VAE in strips: the same picture with a fraction of the memory.

What takes the memory of a VAE are its inner pictures of full size. A convolution needs only a few
rows of them at a time, and a group norm only their mean and variance. So norm, activation and
convolution are done strip by strip, and two inner pictures exist at once instead of five. The
result is the usual one but for rounding: there are no seams as with tiles, whose norms see only
their tile.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

LARGEST_STRIP = 8 * 2**20
"""Bytes of one strip of an inner picture, unless that makes more than MOST_STRIPS of them."""
MOST_STRIPS = 32
FEWEST_ROWS = 8

Affine = tuple[Tensor, Tensor]
"""Scale and shift per channel, [1, channels, 1, 1]."""


class StripVae:
    """Makes one VAE work in strips until `remove`."""

    def __init__(self, network: torch.nn.Module, largest: int = LARGEST_STRIP) -> None:
        """
        Args:
            network: diffusers' `AutoencoderKL`.
            largest: bytes of a strip.
        """
        self._largest = largest
        self._places: list[torch.nn.Module] = []
        for half in (network.encoder, network.decoder):
            for module in half.modules():
                self._equip(module)
            self._equip_end(half)

    @staticmethod
    def fits(network: torch.nn.Module) -> bool:
        """Whether a network is a VAE of the known make."""
        halves = [getattr(network, name, None) for name in ("encoder", "decoder")]
        return all(
            isinstance(getattr(half, "conv_norm_out", None), torch.nn.GroupNorm)
            and isinstance(getattr(half, "conv_act", None), torch.nn.SiLU)
            for half in halves
        )

    def remove(self) -> None:
        """Give the VAE back as it was."""
        for module in self._places:
            module.__dict__.pop("forward", None)
        self._places.clear()

    def _equip(self, module: torch.nn.Module) -> None:
        name = type(module).__name__
        if name == "ResnetBlock2D" and _is_plain_block(module):
            self._put(module, lambda x, temb=None, *rest, **more: self._block(module, x))
        elif name == "Upsample2D" and _is_plain_upsampling(module):
            self._put(module, lambda x, *rest, **more: self._up(module.conv, x))
        elif name == "Downsample2D" and _is_plain_downsampling(module):
            self._put(module, lambda x, *rest, **more: self._down(module.conv, x))

    def _equip_end(self, half: torch.nn.Module) -> None:
        """The last norm, activation and convolution in one."""
        norm, act, conv = half.conv_norm_out, half.conv_act, half.conv_out
        self._put(norm, lambda x, *rest: x)
        self._put(act, lambda x: x)
        self._put(conv, lambda x: self._normed(conv, x, affine(norm, x), act_of(act)))

    def _put(self, module: torch.nn.Module, forward: Callable[..., Tensor]) -> None:
        module.forward = forward
        self._places.append(module)

    # -- the parts ------------------------------------------------------------------------------

    def _block(self, block: torch.nn.Module, x: Tensor) -> Tensor:
        """A residual block: x + conv2(act(norm2(conv1(act(norm1(x))))))."""
        act = act_of(block.nonlinearity)
        inner = self._normed(block.conv1, x, affine(block.norm1, x), act)
        if block.conv_shortcut is not None:
            x = self._plain(block.conv_shortcut, x)
        # Into x itself: nothing else looks at the input of a block.
        self._normed(block.conv2, inner, affine(block.norm2, inner), act, into=x)
        return x if block.output_scale_factor == 1.0 else x.div_(block.output_scale_factor)

    def _normed(
        self,
        conv: torch.nn.Conv2d,
        x: Tensor,
        norm: Affine,
        act: Callable[[Tensor], Tensor],
        into: Tensor | None = None,
    ) -> Tensor:
        """A convolution of the normed and activated picture, added to `into` if that is given."""
        halo = conv.kernel_size[0] // 2
        result = into
        for top, bottom in self._strips(x):
            part = rows_of(x, top - halo, bottom + halo, conv.padding_mode, norm, act)
            done = _across(conv, part)
            if result is None:
                result = done.new_empty((*done.shape[:2], *x.shape[2:]))
            if into is None:
                result[:, :, top:bottom] = done
            else:
                result[:, :, top:bottom] += done
        return result

    def _plain(self, conv: torch.nn.Conv2d, x: Tensor) -> Tensor:
        halo = conv.kernel_size[0] // 2
        result: Tensor | None = None
        for top, bottom in self._strips(x):
            done = _across(conv, rows_of(x, top - halo, bottom + halo, conv.padding_mode))
            if result is None:
                result = done.new_empty((*done.shape[:2], *x.shape[2:]))
            result[:, :, top:bottom] = done
        return result

    def _up(self, conv: torch.nn.Conv2d, x: Tensor) -> Tensor:
        """Every pixel twice each way, then a 3x3 convolution."""
        result: Tensor | None = None
        for top, bottom in self._strips(x, 4):
            part = rows_of(x, top - 1, bottom + 1, conv.padding_mode)
            part = functional.interpolate(part, scale_factor=2.0, mode="nearest")[:, :, 1:-1]
            done = _across(conv, part)
            if result is None:
                height, width = x.shape[2:]
                result = done.new_empty((*done.shape[:2], 2 * height, 2 * width))
            result[:, :, 2 * top : 2 * bottom] = done
        return result

    def _down(self, conv: torch.nn.Conv2d, x: Tensor) -> Tensor:
        """A 3x3 convolution at every second pixel, with a row and a column of zeros at the end."""
        height, width = x.shape[2] // 2, x.shape[3] // 2
        result = x.new_empty((x.shape[0], conv.out_channels, height, width))
        for top, bottom in self._strips(result):
            part = rows_of(x, 2 * top, 2 * bottom + 1, "zeros")
            part = functional.pad(part, (0, 1))
            result[:, :, top:bottom] = functional.conv2d(part, conv.weight, conv.bias, stride=2)
        return result

    def _strips(self, x: Tensor, times: int = 1) -> list[tuple[int, int]]:
        """First and last row of each strip."""
        per_row = x[:, :, 0].numel() * x.element_size() * times
        rows = max(FEWEST_ROWS, self._largest // max(1, per_row), x.shape[2] // MOST_STRIPS)
        return [(top, min(top + rows, x.shape[2])) for top in range(0, x.shape[2], rows)]


def affine(norm: torch.nn.GroupNorm, x: Tensor) -> Affine:
    """What a group norm does to each channel of this picture [1, channels, height, width]."""
    variance, mean = torch.var_mean(
        x.reshape(x.shape[0], norm.num_groups, -1), dim=-1, correction=0
    )
    mean, variance = mean.float(), variance.float()
    each = x.shape[1] // norm.num_groups
    scale = torch.rsqrt(variance + norm.eps).repeat_interleave(each, 1) * norm.weight.float()
    shift = norm.bias.float() - mean.repeat_interleave(each, 1) * scale
    return scale[..., None, None], shift[..., None, None]


def act_of(module: torch.nn.Module) -> Callable[[Tensor], Tensor]:
    """The activation; SiLU in place."""
    if isinstance(module, torch.nn.SiLU):
        return lambda x: functional.silu(x, inplace=True)
    return module


def rows_of(
    x: Tensor,
    top: int,
    bottom: int,
    padding_mode: str,
    norm: Affine | None = None,
    act: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Rows `top` to `bottom` of a picture, normed and activated; beyond its edges zeros, or the
    rows of the other end."""
    height = x.shape[2]
    part = x[:, :, max(0, top) : min(height, bottom)]
    above, below = max(0, -top), max(0, bottom - height)
    circular = padding_mode == "circular"
    if circular and (above or below):
        part = torch.cat([x[:, :, height - above :], part, x[:, :, :below]], dim=2)
    if norm is not None:
        scale, shift = norm
        part = torch.addcmul(shift, part.float(), scale)
        part = (part if act is None else act(part)).to(x.dtype)
    if not circular and (above or below):
        part = functional.pad(part, (0, 0, above, below))
    return part


def _across(conv: torch.nn.Conv2d, part: Tensor) -> Tensor:
    """A convolution of rows that bring their upper and lower neighbours along."""
    sides = conv.kernel_size[1] // 2
    if sides and conv.padding_mode == "circular":
        part = functional.pad(part, (sides, sides, 0, 0), mode="circular")
        sides = 0
    return functional.conv2d(part, conv.weight, conv.bias, padding=(0, sides))


def _is_plain_block(module: torch.nn.Module) -> bool:
    return (
        module.upsample is None
        and module.downsample is None
        and module.time_emb_proj is None
        and isinstance(module.norm1, torch.nn.GroupNorm)
        and isinstance(module.norm2, torch.nn.GroupNorm)
        and module.conv1.stride == (1, 1)
    )


def _is_plain_upsampling(module: torch.nn.Module) -> bool:
    conv = getattr(module, "conv", None)
    return (
        isinstance(conv, torch.nn.Conv2d)
        and conv.kernel_size == (3, 3)
        and module.interpolate
        and module.norm is None
    )


def _is_plain_downsampling(module: torch.nn.Module) -> bool:
    conv = getattr(module, "conv", None)
    return (
        isinstance(conv, torch.nn.Conv2d)
        and conv.kernel_size == (3, 3)
        and conv.stride == (2, 2)
        and module.padding == 0
        and module.norm is None
    )
