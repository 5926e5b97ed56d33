"""A picture made ready for img2img: its size, its mask, the part that is rendered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from modules.imaging.masks import (
    Box,
    fill_masked,
    is_blank,
    padded_box,
    prepare_mask,
)
from modules.imaging.overlay import overlay_mask
from modules.imaging.resizing import FILL, STRETCH, Upscale, flatten, resize_to

LATENT_UPSCALE = 3
"""Resize mode: the encoded picture is resized, not the picture."""
FILL_CONTENT, ORIGINAL, LATENT_NOISE, LATENT_NOTHING = range(4)
"""Masked content."""
CONTENT_NAMES = {
    FILL_CONTENT: "fill",
    LATENT_NOISE: "latent noise",
    LATENT_NOTHING: "latent nothing",
}
SMALLEST_SIDE = 16
"""Pixels of a side below which a VAE has next to nothing to encode."""


@dataclass(frozen=True)
class MaskSettings:
    """What a request says about its mask."""

    blur_x: float = 4
    blur_y: float = 4
    round: bool = True
    invert: bool = False
    content: int = ORIGINAL
    only_masked: bool = False
    padding: int = 32


@dataclass(frozen=True)
class Canvas:
    """One picture to be changed."""

    source: Image.Image
    """RGB, what is encoded: at the processing size, or (latent upscale) at its own."""
    original: Image.Image | None = None
    """RGB, what the result is pasted into; None: nothing is."""
    mask: Image.Image | None = None
    """L, at the processing size, white is repainted; None: all of it is."""
    overlay: Image.Image | None = None
    """L, at the original's size: how the result is laid over it."""
    box: Box | None = None
    """Part of the original that is rendered; None: all of it."""
    latent_mask: Image.Image | None = None
    """L, a mask of its own for latent space; None: ``mask``."""

    @property
    def before(self) -> Image.Image:
        """What was rendered as it was before its masked content was filled, for comparison."""
        if self.original is None:
            return self.source
        part = self.original if self.box is None else self.original.crop(self.box)
        return resize_to(part, FILL, *self.mask.size)

    @property
    def latent_area(self) -> Image.Image | None:
        """The mask that latent space gets."""
        return self.latent_mask or self.mask


def prepare_canvas(
    picture: Image.Image,
    width: int,
    height: int,
    *,
    resize_mode: int = STRETCH,
    background: str = "#ffffff",
    mask: Image.Image | None = None,
    latent_mask: Image.Image | None = None,
    settings: MaskSettings | None = None,
    upscale: Upscale | None = None,
    warn: Callable[[str], None] = lambda message: None,
) -> Canvas:
    """Bring a picture and its mask to ``width`` x ``height``.

    Args:
        resize_mode: 0 to 2 as in ``modules.imaging.resizing``; 3 leaves the picture as it is.
        mask: white is repainted; stretched over the picture when it is of another size.
        upscale: enlarges the picture where it has to grow; Lanczos without.

    A blank mask with ``only_masked`` is no mask, as in A1111.
    """
    flat = flatten(picture, background)
    settings = settings or MaskSettings()
    if mask is not None:
        area = prepare_mask(
            mask, flat.size, settings.invert, settings.blur_x, settings.blur_y, settings.round
        )
        extra = None if latent_mask is None else prepare_mask(latent_mask, flat.size, round=False)
        if not settings.only_masked:
            if is_blank(area):
                warn("The mask is empty: the picture stays as it is.")
            return _whole(flat, area, extra, width, height, resize_mode, settings, upscale)
        box = padded_box(area, settings.padding, (width, height))
        if box is not None:
            return _part(flat, area, extra, box, width, height, settings, upscale)
        warn('The mask is empty, so "Only masked" cannot be done: the whole picture is changed.')
    if resize_mode == LATENT_UPSCALE:
        return Canvas(_at_least(flat, SMALLEST_SIDE))
    return Canvas(resize_to(flat, resize_mode, width, height, upscale or "lanczos"))


def _whole(
    flat: Image.Image,
    area: Image.Image,
    extra: Image.Image | None,
    width: int,
    height: int,
    resize_mode: int,
    settings: MaskSettings,
    upscale: Upscale | None,
) -> Canvas:
    mode = STRETCH if resize_mode == LATENT_UPSCALE else resize_mode
    resized = resize_to(flat, mode, width, height, upscale or "lanczos")
    area = resize_to(area, mode, width, height)
    extra = None if extra is None else resize_to(extra, mode, width, height)
    source = resized
    if settings.content != ORIGINAL:
        source = fill_masked(resized, extra or area)
    elif resize_mode == LATENT_UPSCALE:
        source = _at_least(flat, SMALLEST_SIDE)
    return Canvas(source, resized, area, overlay_mask(area), None, extra)


def _part(
    flat: Image.Image,
    area: Image.Image,
    extra: Image.Image | None,
    box: Box,
    width: int,
    height: int,
    settings: MaskSettings,
    upscale: Upscale | None,
) -> Canvas:
    source = resize_to(flat.crop(box), FILL, width, height, upscale or "lanczos")
    small = resize_to(area.crop(box), FILL, width, height)
    extra = None if extra is None else resize_to(extra.crop(box), FILL, width, height)
    if settings.content != ORIGINAL:
        source = fill_masked(source, extra or small)
    return Canvas(source, flat, small, area, box, extra)


def _at_least(image: Image.Image, side: int) -> Image.Image:
    width, height = max(image.width, side), max(image.height, side)
    return image if image.size == (width, height) else resize_to(image, STRETCH, width, height)
