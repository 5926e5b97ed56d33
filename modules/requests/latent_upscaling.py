"""The ways of enlarging latents by name, for hires fix's list, the API and the engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LatentUpscaling:
    """One entry of the list; ``mode`` and ``antialias`` as ``torch.nn.functional.interpolate``."""

    name: str
    mode: str
    antialias: bool


LATENT_UPSCALINGS: tuple[LatentUpscaling, ...] = (
    LatentUpscaling("Latent", "bilinear", False),
    LatentUpscaling("Latent (antialiased)", "bilinear", True),
    LatentUpscaling("Latent (bicubic)", "bicubic", False),
    LatentUpscaling("Latent (bicubic antialiased)", "bicubic", True),
    LatentUpscaling("Latent (nearest)", "nearest", False),
    LatentUpscaling("Latent (nearest-exact)", "nearest-exact", False),
)
"""In A1111's order; the first is what an empty ``hr_upscaler`` means."""


def find_latent_upscaling(name: str | None) -> LatentUpscaling | None:
    """The entry of this name, the first for an empty one, None for an image upscaler's name."""
    wanted = (name or "").strip().lower()
    if not wanted:
        return LATENT_UPSCALINGS[0]
    return next((entry for entry in LATENT_UPSCALINGS if entry.name.lower() == wanted), None)
