"""Soft inpainting's last act: the original shows through where little was changed."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageChops
from torch import Tensor

from modules.engine.generation.blending import MaskBlend
from modules.engine.generation.canvas import Canvas
from modules.imaging.resizing import STRETCH, resize_to
from modules.imaging.soft import composite_mask
from modules.requests.generation import SoftInpainting


def soft_overlays(
    soft: SoftInpainting, canvases: Sequence[Canvas], blend: MaskBlend, latents: Tensor
) -> list[Image.Image]:
    """Masks for laying each result over its original, from how far its latents have moved.

    They never reach beyond the blurred mask: what is outside of that stays byte-identical.

    Args:
        blend: holds the latents before and the latent mask.
        latents: those after, [batch, channels, height, width].
    """
    before = blend.original.float().cpu().numpy()
    after = latents.float().cpu().numpy()
    masks = blend.mask.float().expand(len(latents), -1, -1, -1)[:, 0].cpu().numpy()
    return [
        _placed(canvas, composite_mask(old, new, mask, soft, canvas.source.size))
        for canvas, old, new, mask in zip(canvases, before, after, masks, strict=True)
    ]


def _placed(canvas: Canvas, mask: Image.Image) -> Image.Image:
    """A mask of what was rendered, brought to the original's size and kept within its mask."""
    allowed = canvas.overlay
    if canvas.box is None:
        return _within(resize_to(mask, STRETCH, *allowed.size), allowed)
    whole = Image.new("L", allowed.size)
    whole.paste(resize_to(mask, STRETCH, *canvas.box.size), canvas.box[:2])
    return _within(whole, allowed)


def _within(mask: Image.Image, allowed: Image.Image) -> Image.Image:
    """Nowhere more than the overlay allows; it fades out, so no new edge appears."""
    return ImageChops.darker(mask, allowed)
