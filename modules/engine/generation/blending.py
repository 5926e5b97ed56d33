"""Keeping the unmasked part of a picture while the rest is repainted: blending in latent space."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class MaskBlend:
    """Puts the original's latents where the mask keeps them, into every denoised prediction.

    The prediction outside the mask is then the original itself, so samplers carry those latents
    along as the original plus noise of the current level, whatever their order.
    """

    original: Tensor
    """Latents [batch, channels, height, width] of the picture as it was."""
    mask: Tensor
    """[batch or 1, 1, height, width] in 0 to 1; 1 is repainted."""

    def __call__(self, denoised: Tensor, sigma: float) -> Tensor:
        """Blend the prediction of one evaluation at noise level ``sigma``."""
        return torch.lerp(self.original, denoised, self.mask)

    def final(self, latents: Tensor) -> Tensor:
        """Blend the finished latents."""
        return torch.lerp(self.original, latents, self.mask)

    def only(self, place: int) -> MaskBlend:
        """One picture of the batch."""
        part = slice(place, place + 1)
        mask = self.mask if len(self.mask) == 1 else self.mask[part]
        return type(self)(**{**vars(self), "original": self.original[part], "mask": mask})


@dataclass(frozen=True)
class SoftBlend(MaskBlend):
    """Soft inpainting: how much of the original stays depends on the mask and the noise level.

    The share of the new picture is ``mask ** (sigma ** schedule_bias * preservation_strength)``,
    which equals as many repeated blends with the plain mask: at high noise half-masked places hold
    on to the original, towards the end they are set free. Magnitudes of the latent vectors are
    interpolated apart from their directions (A1111's built-in "Soft Inpainting").
    """

    schedule_bias: float = 1.0
    preservation_strength: float = 0.5
    transition_contrast_boost: float = 4.0

    def __call__(self, denoised: Tensor, sigma: float) -> Tensor:
        """Blend the prediction of one evaluation at noise level ``sigma``."""
        exponent = sigma**self.schedule_bias * self.preservation_strength
        # Where nothing is masked nothing may change, whatever the exponent: 0 ** 0 would be 1.
        share = torch.where(self.mask > 0, self.mask**exponent, 0.0)
        return blend_vectors(self.original, denoised, share, self.transition_contrast_boost)

    def final(self, latents: Tensor) -> Tensor:
        """The last step has done it."""
        return latents


def blend_vectors(first: Tensor, second: Tensor, share: Tensor, boost: float) -> Tensor:
    """From ``first`` (share 0) to ``second`` (share 1), latent vectors of each place as vectors.

    Directions are interpolated linearly; lengths as the power mean of order ``boost``, which leans
    to the longer of the two, since a plain mean of unlike vectors loses contrast.

    Args:
        first, second: [batch, channels, height, width].
        share: [batch or 1, 1, height, width] in 0 to 1.
    """
    mixed = torch.lerp(first, second, share)
    length = mixed.norm(dim=1, keepdim=True)
    wanted = torch.lerp(
        first.norm(dim=1, keepdim=True).double() ** boost,
        second.norm(dim=1, keepdim=True).double() ** boost,
        share.double(),
    ) ** (1 / boost)
    scaled = mixed * (wanted.to(mixed) / length.clamp(min=1e-6))
    # At the ends the vectors are exactly those of one side.
    return torch.where(share <= 0, first, torch.where(share >= 1, second, scaled))
