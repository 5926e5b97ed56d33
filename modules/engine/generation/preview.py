"""Pictures of unfinished latents: cheap enough to be made on the sampling thread."""

from __future__ import annotations

import io
import math
import time

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from modules.engine.checkpoints import NotANumberError
from modules.engine.generation.pictures import InMemory, to_bytes
from modules.engine.generation.spec import PreviewSpec

SHORTEST_PAUSE = 0.1
"""Seconds between two previews: a fast model must not spend its time on pictures nobody sees."""
APPROXIMATE_SCALE = 4
"""Approximate previews have one pixel per latent pixel; they are enlarged for the eye."""
JPEG_QUALITY = 80
FORMATS = {"jpeg": "jpeg", "jpg": "jpeg", "png": "png", "webp": "webp"}


class Previewer:
    """Makes previews of one batch as its settings ask for."""

    def __init__(self, models: InMemory, spec: PreviewSpec) -> None:
        self._models = models
        self._spec = spec
        self._last = 0.0

    @property
    def format(self) -> str:
        """Format of the encoded pictures."""
        return FORMATS.get(self._spec.format, "jpeg")

    def due(self, step: int) -> bool:
        """Whether a preview is wanted after ``step`` (from 1)."""
        every = self._spec.every
        return bool(every) and step % every == 0 and time.monotonic() - self._last > SHORTEST_PAUSE

    def make(self, combined: Tensor, cond: Tensor | None, uncond: Tensor | None) -> bytes | None:
        """Encode a preview of denoised latents [batch, channels, h, w]; None when it shows nothing.

        Args:
            combined: with guidance; ``cond``, ``uncond``: of the prompt and negative prompt alone.
        """
        subject = {"Prompt": cond, "Negative prompt": uncond}.get(self._spec.subject)
        latents = combined if subject is None else subject
        if not self._spec.grid:
            latents = latents[:1]
        try:
            pixels = self._pixels(latents)
        except NotANumberError:
            return None
        data = self._encode(_grid([to_bytes(one) for one in pixels]))
        self._last = time.monotonic()
        return data

    def _pixels(self, latents: Tensor) -> Tensor:
        """Pixels [batch, 3, height, width] in [-1, 1] on the CPU."""
        if self._spec.method == "Full":
            return self._models.current.decode(latents, repair=False).cpu()
        taesd = self._models.current.taesd.decoder() if self._spec.method == "TAESD" else None
        if taesd is not None:
            return taesd.decode(latents).cpu()
        small = self._models.current.preview_rgb.apply(latents).cpu()
        enlarged = torch.nn.functional.interpolate(
            small.nan_to_num(), scale_factor=APPROXIMATE_SCALE, mode="bilinear"
        )
        return enlarged

    def _encode(self, pixels: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        options = {"jpeg": {"quality": JPEG_QUALITY}, "png": {"compress_level": 1}}
        options["webp"] = {"quality": JPEG_QUALITY, "method": 0}
        Image.fromarray(pixels).save(buffer, self.format, **options[self.format])
        return buffer.getvalue()


def _grid(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures [height, width, 3] side by side, nearly square."""
    columns = math.ceil(math.sqrt(len(pictures)))
    blank = np.zeros_like(pictures[0])
    padded = pictures + [blank] * (-len(pictures) % columns)
    rows = [np.concatenate(padded[i : i + columns], 1) for i in range(0, len(padded), columns)]
    return np.ascontiguousarray(np.concatenate(rows, 0))
