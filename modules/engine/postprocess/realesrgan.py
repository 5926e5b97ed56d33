"""Real-ESRGAN: the networks of basicsr and realesrgan, run by realesrgan's own `RealESRGANer`.

The package is used as its authors wrote it: its class prepares the picture, cuts it into tiles and
puts the result together. Only two things are different. The network comes in ready, so that no
pickle is ever opened by it; and every evaluation is watched, for progress, interrupts and memory.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modules.engine.compat.torchvision_ops import make_torchvision_importable
from modules.engine.postprocess.watch import TileFailed, Watch
from modules.engine.weight_files import read_weights, state_dict_of

make_torchvision_importable()

import realesrgan.utils  # noqa: E402 - see the line above
from basicsr.archs.rrdbnet_arch import RRDBNet  # noqa: E402
from realesrgan import RealESRGANer  # noqa: E402
from realesrgan.archs.srvgg_arch import SRVGGNetCompact  # noqa: E402

logger = logging.getLogger("easel.engine")
# The package prints a line for every tile.
vars(realesrgan.utils)["print"] = lambda *words: logger.debug("realesrgan: %s", *words)

SMALLEST_SIDE = 8
"""Smaller pictures are extended: the package's reflecting pads need something to reflect."""
_DENSE = re.compile(r"^body\.(\d+)\.rdb1\.conv1\.weight$")
_CONVOLUTION = re.compile(r"^body\.\d+\.weight$")
_UNSHUFFLED = {3: 4, 12: 2, 48: 1}
"""Channels of an RRDBNet's first convolution → its scale."""


class Upsampler(RealESRGANer):
    """`RealESRGANer` around a network that is already there."""

    architecture = "Real-ESRGAN"

    def __init__(
        self, network: torch.nn.Module, scale: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        # RealESRGANer.__init__ does nothing but set these, and read a pickle.
        self.scale = scale
        self.tile_size = 0
        self.tile_pad = 10
        self.pre_pad = 0
        self.mod_scale = None
        self.half = dtype == torch.float16
        self.device = device
        self.network = network
        self.model = network

    def run(self, pixels: np.ndarray, tile: int, overlap: int, watch: Watch) -> np.ndarray:
        """Enlarge RGB bytes [height, width, 3] by `scale`, in tiles of `tile` pixels (0: whole).

        Raises:
            TileFailed: the network failed, most likely for want of memory.
            StopSampling: the job was interrupted.
        """
        height, width = pixels.shape[:2]
        padded = _extended(pixels)
        # Where the network reads pixels in blocks, tiles must consist of whole blocks.
        self.tile_size, self.tile_pad = _blocks(tile), _blocks(overlap)
        self.model = _Watched(self.network, watch)
        try:
            with torch.inference_mode():
                enlarged, _ = self.enhance(padded[:, :, ::-1])
        finally:
            self.model = self.network
            self.img = self.output = None
        cut = enlarged[: height * self.scale, : width * self.scale, ::-1]
        return np.ascontiguousarray(cut)

    def tiles(self, width: int, height: int, tile: int, overlap: int) -> int:
        """How often the network is evaluated for a picture."""
        if tile <= 0:
            return 1
        side = _blocks(tile)
        return math.ceil(max(width, 1) / side) * math.ceil(max(height, 1) / side)


class _Watched:
    """The network, as the package calls it."""

    def __init__(self, network: torch.nn.Module, watch: Watch) -> None:
        self._network = network
        self._watch = watch

    def __call__(self, pixels: Tensor) -> Tensor:
        self._watch.before()
        try:
            result = self._network(pixels)
        except RuntimeError as error:
            raise TileFailed(str(error)) from error
        self._watch.after()
        return result


def load_upsampler(
    state: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype
) -> Upsampler | None:
    """An upsampler around these weights; None when they are no Real-ESRGAN network's."""
    built = build_network(state)
    if built is None:
        return None
    network, scale = built
    weights = {name: tensor.to(device, dtype) for name, tensor in state.items()}
    network.load_state_dict(weights, strict=True, assign=True)
    return Upsampler(network.eval().requires_grad_(False), scale, device, dtype)


def load_network(
    path: Path, device: torch.device, dtype: torch.dtype
) -> tuple[torch.nn.Module, int]:
    """The network in a Real-ESRGAN weights file, and its scale.

    Raises:
        UnreadableModelError: the file is damaged or hostile.
        ValueError: it is a network of another kind.
    """
    state = state_dict_of(read_weights(path), "params_ema", "params")
    upsampler = load_upsampler(state, device, dtype)
    if upsampler is None:
        raise ValueError(f"{path.name} is no Real-ESRGAN network")
    return upsampler.network, upsampler.scale


def build_network(state: Mapping[str, Tensor]) -> tuple[torch.nn.Module, int] | None:
    """The empty network (on the meta device) that these tensors belong into, and its scale."""
    arguments = _rrdb_arguments(state) or _compact_arguments(state)
    if arguments is None:
        return None
    kind = RRDBNet if "num_block" in arguments else SRVGGNetCompact
    with torch.device("meta"):
        network = kind(**arguments)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    if expected != {name: tuple(tensor.shape) for name, tensor in state.items()}:
        return None
    return network, arguments.get("upscale") or arguments["scale"]


def _rrdb_arguments(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    blocks = [int(found[1]) for found in map(_DENSE.match, state) if found]
    first, last = state.get("conv_first.weight"), state.get("conv_last.weight")
    if not blocks or first is None or last is None or first.ndim != 4:
        return None
    scale = _UNSHUFFLED.get(first.shape[1])
    if scale is None or last.shape[0] != 3:
        return None
    return {
        "num_in_ch": 3,
        "num_out_ch": 3,
        "scale": scale,
        "num_feat": first.shape[0],
        "num_block": max(blocks) + 1,
        "num_grow_ch": state["body.0.rdb1.conv1.weight"].shape[0],
    }


def _compact_arguments(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    names = [name for name in state if _CONVOLUTION.match(name)]
    convolutions = [name for name in names if state[name].ndim == 4]
    if len(convolutions) < 3 or "body.0.weight" not in state:
        return None
    last = max(convolutions, key=lambda name: int(name.split(".")[1]))
    upscale = math.isqrt(state[last].shape[0] // 3)
    if state["body.0.weight"].ndim != 4 or upscale not in range(1, 9):
        return None
    return {
        "num_in_ch": 3,
        "num_out_ch": 3,
        "num_feat": state["body.0.weight"].shape[0],
        "num_conv": len(convolutions) - 2,
        "upscale": upscale,
        "act_type": "prelu",
    }


def _extended(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    below, right = max(0, SMALLEST_SIDE - height), max(0, SMALLEST_SIDE - width)
    if not below and not right:
        return pixels
    return np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge")


def _blocks(pixels: int) -> int:
    return -(-pixels // 4) * 4
