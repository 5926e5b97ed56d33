"""TAESD, tiny stand-ins for the VAE, when their weights lie in `models/VAE-approx`.

They show previews and, where the settings want it, encode and decode in a fraction of the VAE's
time. Each family has its own: `taesd`, `taesdxl`, `taesd3`, `taef1`. Known files, for `taesd`:
`taesd_decoder.safetensors` and `taesd_encoder.safetensors` (the original layout: a plain sequence
of layers; `.pth` too), and diffusers' `AutoencoderTiny` as `taesd.safetensors` or a folder `taesd`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from modules.catalog.errors import ModelFileError, UnsupportedModelError
from modules.catalog.header import Header
from modules.catalog.weights import weights_header
from modules.engine.checkpoints.components import ComponentPlan, build_empty, fill, materialise
from modules.engine.checkpoints.layouts.names import Names
from modules.engine.checkpoints.tensor_file import Care

logger = logging.getLogger("easel.engine")

Side = Literal["decoder", "encoder"]
STEMS = {"sdxl": "taesdxl", "sd3": "taesd3", "flux": "taef1"}
"""Beginning of a family's key to the name of its files; `taesd` for Stable Diffusion 1 and 2."""
SUFFIXES = (".safetensors", ".pth")
METHOD = "TAESD"
"""The settings' value for these networks."""


class TaesdDecoder:
    """Decodes latents of the denoising network in a fraction of the VAE's time."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents [batch, channels, h, w] to pixels [batch, 3, 8h, 8w] in [-1, 1], float32."""
        weight = next(self.network.parameters())
        with torch.inference_mode():
            pixels = self.network(latents.to(device=weight.device, dtype=weight.dtype))
        return pixels.float().clamp(-1, 1)


class TaesdEncoder:
    """Encodes pictures for the denoising network in a fraction of the VAE's time."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels [batch, 3, H, W] in [-1, 1] to latents [batch, channels, H/8, W/8], float32."""
        weight = next(self.network.parameters())
        with torch.inference_mode():
            latents = self.network(pixels.to(device=weight.device, dtype=weight.dtype))
        return latents.float()


@dataclass
class TaesdFiles:
    """The networks of one model, read when they are first asked for and when a file changes."""

    folder: Path | None
    family: str
    latent_channels: int
    device: torch.device
    dtype: torch.dtype
    _known: dict[str, tuple[object, torch.nn.Module | None]] = field(default_factory=dict)

    def decoder(self) -> TaesdDecoder | None:
        """The decoder; None when there is no file that fits."""
        network = self._network("decoder")
        return None if network is None else TaesdDecoder(network)

    def encoder(self) -> TaesdEncoder | None:
        """The encoder; None when there is no file that fits."""
        network = self._network("encoder")
        return None if network is None else TaesdEncoder(network)

    def _network(self, side: Side) -> torch.nn.Module | None:
        if self.folder is None:
            return None
        files = candidates(self.folder, self.family, side)
        stamp = tuple((str(file), *_stamp(file)) for file in files)
        if side not in self._known or self._known[side][0] != stamp:
            self._known[side] = stamp, self._first(files, side)
        return self._known[side][1]

    def _first(self, files: list[Path], side: Side) -> torch.nn.Module | None:
        for file in files:
            try:
                return self._load(file, side)
            except ModelFileError as error:
                logger.warning("TAESD is not used: %s", error.sentence)
        return None

    def _load(self, file: Path, side: Side) -> torch.nn.Module:
        plan = plan_network(weights_header(file), self.latent_channels, side)
        with torch.inference_mode(False):
            network = materialise(build_empty(plan), self.dtype, self.device)
            fill(network, plan, care=Care(finite=True))
        return network


def candidates(folder: Path, family: str, side: Side) -> list[Path]:
    """The files that may hold a family's decoder or encoder and are there, the best first."""
    stem = next((name for key, name in STEMS.items() if family.startswith(key)), "taesd")
    files = [folder / f"{stem}_{side}{suffix}" for suffix in SUFFIXES]
    files += [folder / f"{stem}.safetensors", folder / stem / "diffusion_pytorch_model.safetensors"]
    return [file for file in files if file.is_file()]


def plan_network(header: Header, latent_channels: int, side: Side) -> ComponentPlan:
    """Work out a network from its tensors.

    Raises:
        UnsupportedModelError: it is no TAESD, or for another number of latent channels.
    """
    layers = _layers(header, side)
    try:
        blocks = _blocks_per_level(layers)
        first, last = layers.shape("layers.0.weight"), layers.shape(f"{_last(layers)}.weight")
    except (KeyError, IndexError, ValueError) as error:
        raise UnsupportedModelError(header.path, f"is not a TAESD {side}") from error
    inner = first[1] if side == "decoder" else last[0]
    if inner != latent_channels:
        reason = f"is for {inner} latent channels, the model has {latent_channels}"
        raise UnsupportedModelError(header.path, reason)
    config = {"latent_channels": inner, "width": first[0], "num_blocks": blocks}
    return ComponentPlan(f"taesd_{side}", config, layers, header.path, side)


def _layers(header: Header, side: Side) -> Names:
    """The network's tensors under diffusers' names."""
    names = Names.below(header, f"{side}.layers.")
    if not names:
        # The original decoder begins with a clamp, which diffusers does outside of it.
        clamps = 1 if side == "decoder" else 0
        originals = Names.below(header, "")
        table: dict[str, str] = {}
        for name in originals:
            number, _, rest = name.partition(".")
            if not number.isdigit() or int(number) < clamps:
                raise UnsupportedModelError(header.path, f"is not a TAESD {side}")
            table[name] = f"{int(number) - clamps}.{rest}"
        names = originals.renamed(table)
    return Names({f"layers.{name}": names[name] for name in names})


def _numbers(layers: Mapping[str, object]) -> list[int]:
    return sorted({int(name.split(".")[1]) for name in layers})


def _last(layers: Mapping[str, object]) -> str:
    return f"layers.{_numbers(layers)[-1]}"


def _blocks_per_level(layers: Names) -> list[int]:
    """Residual blocks between one lone convolution and the next, up to the last one."""
    counts: list[int] = []
    for number in _numbers(layers):
        if f"layers.{number}.conv.0.weight" in layers:
            counts[-1] += 1
        else:
            counts.append(0)
    # counts: [0 first convolution + its level, …, last level's block, output convolution]
    return counts[:-1]


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns
