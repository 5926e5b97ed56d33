"""GFPGAN's network from the `gfpgan` package, built to fit a weights file."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Mapping
from pathlib import Path

import torch

from modules.catalog.errors import UnreadableModelError, UnsupportedModelError
from modules.engine.compat.torchvision_ops import make_torchvision_importable
from modules.engine.weight_files import read_weights, state_dict_of

make_torchvision_importable()

with contextlib.redirect_stdout(io.StringIO()):
    from gfpgan.archs.gfpganv1_clean_arch import GFPGANv1Clean

LARGEST_SIDE = 1024


class GfpganRestorer:
    """Restores faces cut out at ``side`` x ``side`` pixels."""

    def __init__(self, path: Path, device: torch.device) -> None:
        """
        Raises:
            UnreadableModelError: the file is damaged or holds something else.
            UnsupportedModelError: it is a GFPGAN before version 1.2.
        """
        state = state_dict_of(read_weights(path), "params_ema", "params")
        network, self.side = _built(state, path)
        try:
            network.load_state_dict(state, strict=True, assign=True)
        except RuntimeError as error:
            raise UnreadableModelError(path, "is not a complete GFPGAN network") from error
        self._network = network.float().eval().requires_grad_(False).to(device)

    def __call__(self, pixels: torch.Tensor, weight: float) -> torch.Tensor:
        """Restored pixels ``[1, 3, side, side]`` in [-1, 1].

        ``weight`` has no meaning for GFPGAN. The noise is the file's own instead of fresh one, so
        that the same picture always gives the same result.
        """
        return self._network(pixels, return_rgb=False, randomize_noise=False)[0]


def _built(state: Mapping[str, torch.Tensor], path: Path) -> tuple[GFPGANv1Clean, int]:
    """The empty network (on the meta device) that the tensors belong into, and its side."""
    if "conv_body_first.0.weight" in state:
        reason = "is a GFPGAN before version 1.2, which needs a CUDA extension; use GFPGANv1.4"
        raise UnsupportedModelError(path, reason)
    try:
        downs = len({name.split(".")[1] for name in state if name.startswith("conv_body_down.")})
        side = 2 ** (downs + 2)
        style = state["stylegan_decoder.style_conv1.modulated_conv.modulation.weight"].shape[1]
        narrow = state["final_conv.weight"].shape[0] / 256
        layers = len({n.split(".")[2] for n in state if n.startswith("stylegan_decoder.style_mlp")})
        first = state["conv_body_first.weight"].shape[0]
        shift = state["condition_shift.0.2.weight"].shape
        linear = state["final_linear.weight"].shape[0]
    except (KeyError, IndexError) as error:
        raise UnreadableModelError(path, "is not a GFPGAN network") from error
    if not 8 <= side <= LARGEST_SIDE or not 0 < narrow <= 4 or not style or not first:
        raise UnreadableModelError(path, "is a GFPGAN network of an impossible size")
    # At the full size the first layer has 16384 / side channels, halved, times both factors.
    with torch.device("meta"):
        network = GFPGANv1Clean(
            out_size=side,
            num_style_feat=style,
            channel_multiplier=_multiplier(first, side, narrow),
            decoder_load_path=None,
            fix_decoder=False,
            num_mlp=layers,
            input_is_latent=True,
            different_w=linear == (int(math.log2(side)) * 2 - 2) * style,
            narrow=narrow,
            sft_half=shift[0] == shift[1],
        )
    return network, side


def _multiplier(channels: int, side: int, narrow: float) -> float:
    """StyleGAN2's channel multiplier; layers up to 32x32 do not depend on it."""
    return 2 if side <= 32 else channels * 2 * side / (16384 * narrow)
