"""Models that are shown a picture: inpainting (9 channels), InstructPix2Pix (8) and depth (5).

Their UNets take further channels behind the noisy latents: the mask and the masked picture's
latents, the latents of the picture to be edited, or how near everything in the picture is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.engine.checkpoints import LoadedModel
from modules.engine.generation.depth import estimated_depth, shown_depth
from modules.engine.generation.spec import PIXELS_PER_LATENT

Encode = Callable[[Tensor], Tensor]
"""Pixels [batch, 3, height, width] in [-1, 1] to latents, by the model in memory."""


@dataclass(frozen=True)
class ConcatSource:
    """The picture and the mask that such a model is shown; empty for txt2img."""

    pixels: Tensor | None = None
    """[batch or 1, 3, height, width] in [-1, 1]."""
    mask: Tensor | None = None
    """[batch or 1, 1, height, width] in 0 to 1, 1 is repainted; None: all of it is."""
    mask_weight: float = 1.0
    """How much of the picture is hidden under the mask (setting inpainting_mask_weight)."""
    depth: Tensor | None = None
    """[batch or 1, 1, height, width], brighter is nearer; None: estimated from the picture."""

    def only(self, place: int) -> ConcatSource:
        """One picture of the batch."""
        return ConcatSource(
            _row(self.pixels, place),
            _row(self.mask, place),
            self.mask_weight,
            _row(self.depth, place),
        )

    def channels(self, model: LoadedModel, latents: Tensor, encode: Encode) -> Tensor | None:
        """Further input channels for a model [batch, channels, h, w]; None when it takes none.

        Args:
            latents: [batch, channels, h, w], for their size.
            encode: the VAE.

        Raises:
            RequestError: a depth model has nothing to look at.
            ModelLoadError: its depth estimator cannot be used.
        """
        if model.variant == "inpainting":
            return self._for_inpainting(latents, encode)
        if model.variant == "edit":
            return self._for_editing(model, latents, encode)
        if model.variant == "depth":
            depth = estimated_depth(model, self.pixels) if self.depth is None else self.depth
            shown = shown_depth(depth.to(latents.device), latents.shape[-2:]).to(latents)
            return shown.expand(len(latents), -1, -1, -1)
        return None

    def _for_inpainting(self, latents: Tensor, encode: Encode) -> Tensor:
        """The mask and the latents of the picture with its masked part in middle grey."""
        batch, _, height, width = latents.shape
        pixels, mask = self.pixels, self.mask
        if pixels is None:
            # Without a picture everything is to be painted.
            side = PIXELS_PER_LATENT
            hidden = encode(latents.new_zeros(1, 3, height * side, width * side))
        else:
            pixels = pixels.to(latents)
            mask = pixels.new_ones(1, 1, *pixels.shape[-2:]) if mask is None else mask.to(pixels)
            hidden = encode(torch.lerp(pixels, pixels * (1 - mask), self.mask_weight))
        if mask is None:
            small = latents.new_ones(1, 1, height, width)
        else:
            small = torch.nn.functional.interpolate(mask.to(latents), size=(height, width))
        hidden = hidden.to(latents)
        return torch.cat([one.expand(batch, -1, -1, -1) for one in (small, hidden)], dim=1)

    def _for_editing(self, model: LoadedModel, latents: Tensor, encode: Encode) -> Tensor:
        """The VAE's own latents of the picture, not scaled to unit variance."""
        if self.pixels is None:
            return torch.zeros_like(latents)
        encoded = encode(self.pixels.to(latents))
        unscaled = model.codec.unscaled(encoded).to(latents)
        return unscaled.expand(len(latents), -1, -1, -1)


def _row(rows: Tensor | None, place: int) -> Tensor | None:
    """One picture's row; a single row is everybody's."""
    return rows if rows is None or len(rows) == 1 else rows[place : place + 1]
