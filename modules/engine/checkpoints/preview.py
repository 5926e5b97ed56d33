"""Cheap previews: a linear map from latents to RGB, fitted to the very VAE in use, and TAESD."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from modules.engine.checkpoints.vae_codec import VaeCodec
from modules.engine.memory.lodging import wake
from modules.settings.atomic import write_json

logger = logging.getLogger("easel.engine")

SAMPLE_PIXELS = 192
"""Side of the synthetic picture that the factors are fitted on."""
CELL_PIXELS = 24
_FINGERPRINTED = (
    "encoder.conv_in.weight",
    "encoder.conv_out.weight",
    "decoder.conv_in.weight",
    "decoder.conv_out.weight",
    "quant_conv.weight",
    "quant_conv.bias",
    "post_quant_conv.weight",
)


@dataclass(frozen=True)
class PreviewFactors:
    """rgb = latents · weights + bias, one RGB pixel per latent pixel."""

    weights: torch.Tensor
    """[channels, 3] float32 on the CPU"""
    bias: torch.Tensor
    """[3] float32 on the CPU"""

    def apply(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents [batch, channels, h, w] to pixels [batch, 3, h, w] in [-1, 1], float32."""
        weights, bias = self.weights.to(latents.device), self.bias.to(latents.device)
        rgb = torch.einsum("bchw,cr->brhw", latents.float(), weights) + bias[:, None, None]
        return rgb.clamp(-1, 1)


def preview_factors(codec: VaeCodec, cache: Path | None) -> PreviewFactors:
    """The factors of a VAE: from the cache folder, or fitted now (a second on a CPU) and kept."""
    file = cache / "preview" / f"{fingerprint(codec)}.json" if cache else None
    known = _read(file, codec.latent_channels) if file else None
    if known is not None:
        return known
    factors = fit(codec)
    if file:
        _keep(file, factors)
    return factors


def fit(codec: VaeCodec) -> PreviewFactors:
    """Least squares from the latents of a patchwork of smooth colours to the colours themselves."""
    picture = patchwork(SAMPLE_PIXELS, CELL_PIXELS)
    latents = codec.encode(picture[None]).cpu()
    small = torch.nn.functional.interpolate(picture[None], size=latents.shape[-2:], mode="area")
    inputs = latents[0].flatten(1).T.double()
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=torch.float64)], dim=1)
    targets = small[0].flatten(1).T.double()
    # A little ridge keeps latent channels that carry no colour from blowing up.
    ridge = 1e-4 * len(inputs) * torch.eye(inputs.shape[1], dtype=torch.float64)
    ridge[-1, -1] = 0
    solution = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ targets).float()
    return PreviewFactors(solution[:-1].contiguous(), solution[-1].contiguous())


def patchwork(side: int, cell: int) -> torch.Tensor:
    """A picture [3, side, side] in [-1, 1]: cells of random colours with gentle gradients."""
    generator = torch.Generator().manual_seed(20)
    count = -(-side // cell)
    corners = torch.rand(3, 2 * count, 2 * count, generator=generator) * 2 - 1
    flat = torch.rand(3, count, count, generator=generator) * 2 - 1
    colours = 0.75 * flat.repeat_interleave(2, 1).repeat_interleave(2, 2) + 0.25 * corners
    picture = torch.nn.functional.interpolate(colours[None], scale_factor=cell // 2, mode="nearest")
    return picture[0, :, :side, :side].clamp(-1, 1).contiguous()


def fingerprint(codec: VaeCodec) -> str:
    """A short hash that tells VAEs apart by their outermost weights, without reading all."""
    wake(codec.network)
    digest = hashlib.sha256(f"{codec.scaling_factor},{codec.shift_factor}".encode())
    state = codec.network.state_dict()
    for name in _FINGERPRINTED:
        if name in state:
            digest.update(state[name].detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:20]


def _read(file: Path, channels: int) -> PreviewFactors | None:
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        weights = torch.tensor(content["weights"], dtype=torch.float32)
        bias = torch.tensor(content["bias"], dtype=torch.float32)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return PreviewFactors(weights, bias) if weights.shape == (channels, 3) else None


def _keep(file: Path, factors: PreviewFactors) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"weights": factors.weights.tolist(), "bias": factors.bias.tolist()})
    except OSError as error:
        logger.warning("the preview factors could not be kept: %s", error)
