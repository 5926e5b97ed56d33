"""TAESD, the tiny decoder for previews, when its weights lie in `models/VAE-approx`.

Known files: `taesd_decoder.safetensors` (the original layout: a plain sequence of layers) and
diffusers' `AutoencoderTiny` as `taesd.safetensors` or as a folder `taesd`.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from modules.catalog.errors import ModelFileError, UnsupportedModelError
from modules.catalog.header import Header, safetensors_header
from modules.engine.checkpoints.components import ComponentPlan, build_empty, fill, materialise
from modules.engine.checkpoints.layouts.names import Names

logger = logging.getLogger("easel.engine")

CANDIDATES = (
    "taesd_decoder.safetensors",
    "taesd.safetensors",
    "taesd/diffusion_pytorch_model.safetensors",
)
_DIFFUSERS = "decoder.layers."


class TaesdDecoder:
    """Decodes latents of the denoising network in a fraction of the VAE's time."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents [batch, 4, h, w] to pixels [batch, 3, 8h, 8w] in [-1, 1], float32."""
        weight = next(self.network.parameters())
        with torch.inference_mode():
            pixels = self.network(latents.to(device=weight.device, dtype=weight.dtype))
        return pixels.float().clamp(-1, 1)


def load_taesd(
    folder: Path, *, latent_channels: int, device: torch.device, dtype: torch.dtype
) -> TaesdDecoder | None:
    """Load the decoder from `models/VAE-approx`; None when there is none that fits.

    A file that is damaged or for another number of latent channels is logged and passed over.
    """
    for candidate in CANDIDATES:
        file = folder / candidate
        if not file.is_file():
            continue
        try:
            return TaesdDecoder(_load(file, latent_channels, device, dtype))
        except ModelFileError as error:
            logger.warning("TAESD is not used: %s", error.sentence)
    return None


def _load(
    file: Path, latent_channels: int, device: torch.device, dtype: torch.dtype
) -> torch.nn.Module:
    plan = plan_decoder(safetensors_header(file), latent_channels)
    network = materialise(build_empty(plan), dtype, device)
    fill(network, plan)
    return network


def plan_decoder(header: Header, latent_channels: int) -> ComponentPlan:
    """Work out the decoder from its tensors.

    Raises:
        UnsupportedModelError: it is no TAESD, or for another number of latent channels.
    """
    names = Names.below(header, _DIFFUSERS)
    if not names:
        # The original sequence begins with a clamp, which diffusers does outside of it.
        originals = Names.below(header, "")
        table = {}
        for name in originals:
            number, _, rest = name.partition(".")
            if not number.isdigit() or int(number) < 1:
                raise UnsupportedModelError(header.path, "is not a TAESD decoder")
            table[name] = f"{int(number) - 1}.{rest}"
        names = originals.renamed(table)
    layers = Names({f"layers.{name}": names[name] for name in names})
    try:
        width, channels = layers.shape("layers.0.weight")[:2]
        blocks = _blocks_per_level(layers)
    except (KeyError, ValueError) as error:
        raise UnsupportedModelError(header.path, "is not a TAESD decoder") from error
    if channels != latent_channels:
        reason = f"is for {channels} latent channels, the model has {latent_channels}"
        raise UnsupportedModelError(header.path, reason)
    config = {"in_channels": channels, "width": width, "num_blocks": blocks}
    return ComponentPlan("taesd_decoder", config, layers, header.path, "decoder")


def _blocks_per_level(layers: Names) -> list[int]:
    """Residual blocks between one lone convolution and the next, up to the last one."""
    numbers = sorted({int(name.split(".")[1]) for name in layers})
    counts: list[int] = []
    for number in numbers:
        if f"layers.{number}.conv.0.weight" in layers:
            counts[-1] += 1
        else:
            counts.append(0)
    # counts: [0 first convolution + its level, …, last level's block, output convolution]
    return counts[:-1]
