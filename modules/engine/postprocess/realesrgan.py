"""Real-ESRGAN: the networks of basicsr and realesrgan, run by realesrgan's own `RealESRGANer`.

The package's class does the work, from bytes to bytes. Two things are different. The network comes
in ready, so that the package never opens a pickle. And pictures are cut into tiles here, at the
same places as there, because the package's own loop cannot be interrupted, goes on with a hole in
the picture when a tile fails, and keeps the whole result several times in 32 bits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modules.engine.compat.torchvision_ops import make_torchvision_importable
from modules.engine.postprocess.watch import Watch
from modules.engine.weight_files import read_weights, state_dict_of

make_torchvision_importable()

from basicsr.archs.rrdbnet_arch import RRDBNet  # noqa: E402 - see the line above
from realesrgan import RealESRGANer  # noqa: E402
from realesrgan.archs.srvgg_arch import SRVGGNetCompact  # noqa: E402

BLOCK = 4
"""Networks with a scale of 2 or 1 read pixels in blocks of up to this side: tiles must consist of
whole blocks, and reflecting pads need as many pixels to reflect."""
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
        self.model = network

    def run(self, pixels: np.ndarray, tile: int, overlap: int, watch: Watch) -> np.ndarray:
        """Enlarge RGB bytes [height, width, 3] by `scale`, in tiles of `tile` pixels (0: whole)
        that see `overlap` pixels of their neighbours.

        Raises:
            RuntimeError: the network failed, most likely for want of memory.
            StopSampling: the job was interrupted.
        """
        height, width = pixels.shape[:2]
        scale, pad = self.scale, self._whole_blocks(overlap)
        result = np.empty((height * scale, width * scale, 3), np.uint8)
        for top, bottom in self._sides(height, tile):
            for left, right in self._sides(width, tile):
                above, before = max(0, top - pad), max(0, left - pad)
                seen = pixels[above : bottom + pad, before : right + pad]
                watch.before()
                done = self._enlarged(seen)
                watch.after()
                y, x = (top - above) * scale, (left - before) * scale
                result[top * scale : bottom * scale, left * scale : right * scale] = done[
                    y : y + (bottom - top) * scale, x : x + (right - left) * scale
                ]
        return result

    def tiles(self, width: int, height: int, tile: int, overlap: int) -> int:
        """How often the network is evaluated for a picture."""
        return len(self._sides(width, tile)) * len(self._sides(height, tile))

    def _sides(self, length: int, tile: int) -> list[tuple[int, int]]:
        """Begin and end of each tile along a side."""
        step = self._whole_blocks(tile) if tile > 0 else length
        return [(begin, min(begin + step, length)) for begin in range(0, length, step)]

    def _whole_blocks(self, pixels: int) -> int:
        return pixels if self.scale > 2 else -(-pixels // BLOCK) * BLOCK

    @torch.inference_mode()
    def _enlarged(self, pixels: np.ndarray) -> np.ndarray:
        """One tile; the package takes and gives blue, green, red."""
        height, width = pixels.shape[:2]
        if self.scale <= 2 and min(height, width) < BLOCK:
            room = ((0, max(0, BLOCK - height)), (0, max(0, BLOCK - width)), (0, 0))
            pixels = np.pad(pixels, room, mode="edge")
        try:
            done, _mode = self.enhance(pixels[:, :, ::-1])
        finally:
            self.img = self.output = None
        return done[: height * self.scale, : width * self.scale, ::-1]


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
    return upsampler.model, upsampler.scale


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
