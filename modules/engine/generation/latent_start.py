"""From prepared pictures to what a walk starts from: latents, the mask's blend, shown pictures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from modules.engine.generation.blending import MaskBlend, SoftBlend
from modules.engine.generation.canvas import LATENT_NOISE, LATENT_NOTHING, Canvas, MaskSettings
from modules.engine.generation.concat import ConcatSource
from modules.engine.generation.context import JobContext
from modules.engine.generation.depth import depth_of_canvas
from modules.engine.generation.pictures import to_pixels
from modules.engine.generation.spec import BatchSpec
from modules.engine.generation.task import PassTask, Start
from modules.engine.sampling import NoiseSource
from modules.imaging.masks import latent_mask
from modules.requests.generation import SoftInpainting


class LatentStart:
    """Encodes canvases with the model in memory; equal canvases once."""

    def __init__(
        self,
        context: JobContext,
        settings: MaskSettings,
        soft: SoftInpainting | None = None,
        *,
        depth: Image.Image | None = None,
    ) -> None:
        """
        Args:
            depth: the request's map of the whole picture, for depth models.
        """
        self._depth = depth
        self._context = context
        self._settings = settings
        self._soft = soft
        self._encoded: dict[int, tuple[Canvas, Tensor, Tensor]] = {}

    def of(self, canvases: Sequence[Canvas], task: PassTask, batch: BatchSpec) -> Start:
        """What a batch starts from; one canvas per picture, with masks on all or none."""
        size = task.height // 8, task.width // 8
        encoded = [self._latents(canvas, size) for canvas in canvases]
        latents = torch.cat([latents for latents, _ in encoded])
        pixels = torch.cat([pixels for _, pixels in encoded])
        if canvases[0].mask is None:
            return Start(latents, None, ConcatSource(pixels, depth=self._depths(canvases)))
        mask = self._mask(canvases, size).to(latents)
        if self._settings.content == LATENT_NOISE:
            latents = latents * (1 - mask) + self._noise(batch, latents) * mask
        elif self._settings.content == LATENT_NOTHING:
            latents = latents * (1 - mask)
        return Start(latents, self._blend(latents, mask), self._shown(canvases, pixels))

    def _latents(self, canvas: Canvas, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """``(latents [1, channels, *size], pixels [1, 3, height, width] in [-1, 1])``."""
        kept = self._encoded.get(id(canvas))
        if kept is None:
            with self._context.ledger.clock("encode"):
                pixels = to_pixels(canvas.source)
                latents = self._context.codec.encode(pixels)
            if latents.shape[-2:] != size:
                # "Just resize (latent upscale)", and pictures that are not multiples of 8.
                latents = torch.nn.functional.interpolate(latents, size=size, mode="bilinear")
                height, width = size
                pixels = torch.nn.functional.interpolate(
                    pixels, size=(height * 8, width * 8), mode="bilinear", antialias=True
                ).clamp(-1, 1)
            # The canvas is kept too: an id is only unique among living objects.
            kept = self._encoded[id(canvas)] = (canvas, latents, pixels)
        return kept[1], kept[2]

    def _mask(self, canvases: Sequence[Canvas], size: tuple[int, int]) -> Tensor:
        """[batch, 1, *size], 1 is repainted."""
        masks = [latent_mask(canvas.latent_area, size, self._settings.round) for canvas in canvases]
        return torch.stack([torch.from_numpy(mask) for mask in masks])[:, None]

    def _blend(self, latents: Tensor, mask: Tensor) -> MaskBlend:
        if self._soft is None:
            return MaskBlend(latents, mask)
        return SoftBlend(
            latents,
            mask,
            schedule_bias=self._soft.schedule_bias,
            preservation_strength=self._soft.preservation_strength,
            transition_contrast_boost=self._soft.transition_contrast_boost,
        )

    def _noise(self, batch: BatchSpec, latents: Tensor) -> Tensor:
        spec = self._context.spec
        return NoiseSource(
            batch.seeds,
            batch.subseeds,
            spec.subseed_strength,
            spec.seed_resize_from,
            shape=latents.shape[1:],
            rng=spec.rng,
            ensd=spec.ensd,
            device=latents.device,
        ).initial()

    def _shown(self, canvases: Sequence[Canvas], pixels: Tensor) -> ConcatSource:
        """The pictures and masks at full size, for inpainting models."""
        masks = torch.stack([_grey(canvas) for canvas in canvases])[:, None]
        if self._settings.round:
            masks = masks.round()
        weight = float(self._context.spec.options.get("inpainting_mask_weight", 1.0))
        return ConcatSource(pixels, masks, weight, self._depths(canvases))

    def _depths(self, canvases: Sequence[Canvas]) -> Tensor | None:
        """The request's map as it belongs to each canvas, [batch, 1, height, width]."""
        if self._depth is None:
            return None
        mode = self._context.spec.form.resize_mode
        return torch.cat([depth_of_canvas(self._depth, canvas, mode) for canvas in canvases])


def _grey(canvas: Canvas) -> Tensor:
    """The mask [height, width] in 0 to 1."""
    import numpy as np

    return torch.from_numpy(np.asarray(canvas.mask).astype(np.float32) / 255)
