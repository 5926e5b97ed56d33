"""A1111's ``masking``: the part of a picture around a mask."""

from __future__ import annotations

from typing import Any

from PIL import Image, ImageFilter


def get_crop_region_v2(mask: Any, pad: int = 0) -> tuple[int, int, int, int] | None:
    """The mask's bounding box, larger by ``pad`` pixels; None without a mask."""
    mask = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
    box = mask.convert("L").getbbox()
    if box is None:
        return None
    left, top, right, bottom = box
    width, height = mask.size
    return max(left - pad, 0), max(top - pad, 0), min(right + pad, width), min(bottom + pad, height)


def get_crop_region(mask: Any, pad: int = 0) -> tuple[int, int, int, int]:
    """The same; without a mask what A1111 gives, an empty box turned around."""
    found = get_crop_region_v2(mask, pad)
    if found is not None:
        return found
    mask = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
    width, height = mask.size
    return max(width - pad, 0), max(height - pad, 0), min(pad, width), min(pad, height)


def expand_crop_region(
    crop_region: tuple[int, int, int, int],
    processing_width: int,
    processing_height: int,
    image_width: int,
    image_height: int,
) -> tuple[int, int, int, int]:
    """The box with the shape that is generated, kept inside of the picture."""
    x1, y1, x2, y2 = crop_region
    wanted = processing_width / processing_height
    if (x2 - x1) / (y2 - y1) > wanted:
        y1, y2 = _grown(y1, y2, int((x2 - x1) / wanted), image_height)
    else:
        x1, x2 = _grown(x1, x2, int((y2 - y1) * wanted), image_width)
    return x1, y1, x2, y2


def _grown(low: int, high: int, length: int, limit: int) -> tuple[int, int]:
    missing = length - (high - low)
    low -= missing // 2
    high += missing - missing // 2
    if high >= limit:
        low, high = low - (high - limit), limit
    if low < 0:
        low, high = 0, high - low
    return low, min(high, limit)


def fill(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture with its masked part filled by the colours around it."""
    whole = Image.new("RGBA", (image.width, image.height))
    masked = Image.new("RGBa", (image.width, image.height))
    masked.paste(image.convert("RGBA").convert("RGBa"), mask=_inverted(mask.convert("L")))
    masked = masked.convert("RGBa")
    for radius, repeats in ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1)):
        blurred = masked.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(repeats):
            whole.alpha_composite(blurred)
    return whole.convert("RGB")


def _inverted(mask: Image.Image) -> Image.Image:
    return mask.point(lambda value: 255 - value)
