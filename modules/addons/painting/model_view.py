"""What ``shared.sd_model`` tells: the loaded checkpoint under A1111's names."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch


class ModelView:
    """A loaded model. Networks are diffusers': what patches A1111's own layers finds none."""

    def __init__(self, loaded: Any) -> None:
        self.easel = loaded
        self.is_sd1 = loaded.family == "sd1"
        self.is_sd2 = loaded.family == "sd2"
        self.is_sd3 = loaded.family == "sd3"
        self.is_sdxl = loaded.family == "sdxl"
        self.is_ssd = False
        self.is_flux = loaded.family == "flux"
        self.sd_model_hash = loaded.hash
        self.sd_checkpoint_info = SimpleNamespace(
            filename=str(loaded.path),
            name=loaded.path.name,
            name_for_extra=loaded.path.stem,
            model_name=loaded.name,
            title=loaded.title,
            hash=loaded.hash,
            shorthash=loaded.hash,
            sha256=None,
            metadata={},
        )
        self.latent_channels = loaded.latent_channels
        self.cond_stage_key = "txt"
        self.used_config = None

    @property
    def device(self) -> Any:
        """Where it is computed."""
        return self.easel.device

    @property
    def dtype(self) -> Any:
        """Of the denoising network."""
        return self.easel.dtype

    @property
    def model(self) -> Any:
        """A1111 keeps the denoising network at ``model.diffusion_model``."""
        return SimpleNamespace(diffusion_model=self.easel.networks["unet"])

    @property
    def first_stage_model(self) -> Any:
        """The VAE."""
        return self.easel.networks.get("vae")

    @torch.inference_mode()
    def get_learned_conditioning(self, texts: list[str]) -> Any:
        """Encoded texts, [texts, tokens, width]; with SDXL a dictionary."""
        from modules.addons.painting.guidance import WITH_VECTORS, joined
        from modules.engine.conditioning import TextOptions

        options = TextOptions()
        rows = [self.easel.conditioner.encode(text, options) for text in texts]
        return joined(rows, self.easel.family in WITH_VECTORS)

    @torch.inference_mode()
    def decode_first_stage(self, latents: Any) -> Any:
        """Latents to pixels in -1 to 1."""
        return self.easel.decode(latents)

    @torch.inference_mode()
    def encode_first_stage(self, pixels: Any) -> Any:
        """Pixels in -1 to 1 to latents."""
        return self.easel.encode(pixels)

    def get_first_stage_encoding(self, encoded: Any) -> Any:
        """They are scaled already."""
        return encoded

    def named_modules(self) -> Any:
        """Of the denoising network."""
        return self.easel.networks["unet"].named_modules()
