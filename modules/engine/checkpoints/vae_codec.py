"""Latents to pixels and back through a VAE, with a repair for pictures that come out as NaN."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch

from modules.engine.memory.lodging import form_of, upcast

logger = logging.getLogger("easel.engine")


class NotANumberError(RuntimeError):
    """The picture consists of NaN, even with the VAE in float32; says where it went wrong."""

    def __init__(self, where: str) -> None:
        self.sentence = (
            f"The {where} gave NaN (not a number) instead of a picture. "
            "Try --no-half, another VAE or another checkpoint."
        )
        super().__init__(self.sentence)


class VaeCodec:
    """Decodes and encodes one picture at a time, so that a batch equals its pictures alone.

    Latents are those of the denoising network: zero mean and about unit variance.
    """

    def __init__(self, network: torch.nn.Module, config: Mapping[str, Any]) -> None:
        self.network = network
        self.scaling_factor = float(config.get("scaling_factor") or 1.0)
        self.shift_factor = float(config.get("shift_factor") or 0.0)
        self.latent_channels = int(config["latent_channels"])
        self.scale = 2 ** (len(config["block_out_channels"]) - 1)
        self.notes: list[str] = []
        """What was repaired, for the user; whoever reports it empties the list."""

    def decode(self, latents: torch.Tensor, *, repair: bool = True) -> torch.Tensor:
        """Latents [batch, channels, h, w] to pixels [batch, 3, 8h, 8w] in [-1, 1], float32.

        With `repair`, a half-precision VAE that gives NaN is switched to float32 for good and the
        picture decoded again.

        Raises:
            NotANumberError: the latents, or the picture, are NaN.
        """
        if not torch.isfinite(latents).all():
            raise NotANumberError("denoising network")
        return torch.cat([self._decode_one(one[None], repair) for one in latents])

    def encode(
        self, pixels: torch.Tensor, noise: torch.Tensor | None = None, *, repair: bool = True
    ) -> torch.Tensor:
        """Pixels [batch, 3, H, W] in [-1, 1] to latents [batch, channels, H/8, W/8], float32.

        Gives the mean of the VAE's distribution, or a sample of it when standard normal `noise`
        of the latents' shape is given.

        Raises:
            NotANumberError: the latents are NaN.
        """
        noises = noise if noise is not None else [None] * len(pixels)
        return torch.cat(
            [
                self._encode_one(one[None], None if n is None else n[None], repair)
                for one, n in zip(pixels, noises, strict=True)
            ]
        )

    def unscaled(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents as the VAE itself knows them, without the scaling to unit variance."""
        return latents / self.scaling_factor + self.shift_factor

    def _decode_one(self, latents: torch.Tensor, repair: bool) -> torch.Tensor:
        unscaled = self.unscaled(latents.float())
        with torch.inference_mode():
            pixels = self.network.decode(self._fit(unscaled), return_dict=False)[0].float()
        if torch.isfinite(pixels).all():
            return pixels.clamp(-1, 1)
        if repair and self._upcast():
            return self._decode_one(latents, repair)
        raise NotANumberError("VAE")

    def _encode_one(
        self, pixels: torch.Tensor, noise: torch.Tensor | None, repair: bool
    ) -> torch.Tensor:
        with torch.inference_mode():
            posterior = self.network.encode(self._fit(pixels), return_dict=False)[0]
        mean = posterior.mean.float()
        if not torch.isfinite(mean).all():
            if repair and self._upcast():
                return self._encode_one(pixels, noise, repair)
            raise NotANumberError("VAE's encoder")
        if noise is not None:
            mean = mean + posterior.std.float() * noise.to(mean)
        return (mean - self.shift_factor) * self.scaling_factor

    def _fit(self, tensor: torch.Tensor) -> torch.Tensor:
        form = form_of(self.network)
        return tensor.to(device=form.device, dtype=form.dtype)

    def _upcast(self) -> bool:
        """Switch the VAE to float32; False when it already is."""
        if not upcast(self.network):
            return False
        note = "The VAE gave NaN in half precision and now works in float32."
        self.notes.append(note)
        logger.warning("%s", note)
        return True
