"""What the hooks of a script are given. All fields may be assigned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class PostprocessImageArgs:
    """One finished picture (PIL)."""

    image: Any


@dataclass
class PostProcessMaskOverlayArgs:
    """The mask and the original that are laid over an inpainted picture."""

    index: int
    mask_for_overlay: Any
    overlay_image: Any


@dataclass
class PostprocessBatchListArgs:
    """A decoded batch: a list of tensors (3, H, W), 0..1, which may become longer or shorter."""

    images: list[Any]


@dataclass
class PostSampleArgs:
    """Sampled latents (B, C, h, w)."""

    samples: Any


@dataclass
class MaskBlendArgs:
    """The two latents that an inpaint mask mixes; assign ``blended_latent``."""

    current_latent: Any
    nmask: Any
    init_latent: Any
    mask: Any
    blended_latent: Any
    denoiser: Any = None
    sigma: Any = None

    @property
    def is_final_blend(self) -> bool:
        """Whether this is the blend after the last step."""
        return self.denoiser is None


@dataclass
class OnComponent:
    """A component of the page."""

    component: Any
