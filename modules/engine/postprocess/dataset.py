"""Preparation of pictures for training: split, crop to a good size, flip."""

from __future__ import annotations

import math

from PIL import Image, ImageOps

SIZE_STEP = 64
"""Sides of auto-sized crops are multiples of this."""


def split_oversized(
    image: Image.Image, width: int, height: int, threshold: float, overlap: float
) -> list[Image.Image]:
    """Pieces of `width` x `height` along the longer side of a picture that is much longer.

    Pictures whose shape is within `threshold` (0 to 1, 1 is exactly the target's shape) of the
    target come back whole. Neighbours share at least the fraction `overlap` of a piece.
    """
    upright = image.height > image.width
    shape = (image.width * height) / (image.height * width)
    ratio = shape if upright else 1 / shape
    if ratio >= 1 or ratio > threshold:
        return [image]
    if upright:
        length, piece = round(image.height * width / image.width), height
        scaled = image.resize((width, length), Image.Resampling.LANCZOS)
    else:
        length, piece = round(image.width * height / image.height), width
        scaled = image.resize((length, height), Image.Resampling.LANCZOS)
    count = max(2, math.ceil((length - piece * overlap) / (piece * (1 - overlap))))
    starts = [round(i * (length - piece) / (count - 1)) for i in range(count)]
    if upright:
        return [scaled.crop((0, top, width, top + height)) for top in starts]
    return [scaled.crop((left, 0, left + width, height)) for left in starts]


def auto_size(
    size: tuple[int, int],
    min_side: int,
    max_side: int,
    min_area: int,
    max_area: int,
    threshold: float,
) -> tuple[int, int] | None:
    """The largest size within the limits whose shape differs by at most `threshold` from `size`'s.

    Sides grow from `min_side` in steps of 64. Of sizes of the same area the better shape wins;
    None when no size is allowed.
    """
    sides = range(min_side, max_side + 1, SIZE_STEP)
    fitting = [
        (width * height, -_misfit(size, width, height), width, height)
        for width in sides
        for height in sides
        if min_area <= width * height <= max_area and _misfit(size, width, height) <= threshold
    ]
    return max(fitting)[2:] if fitting else None


def _misfit(size: tuple[int, int], width: int, height: int) -> float:
    """0 for the same shape, towards 1 the more of the picture would be cut off."""
    ratio = size[0] / size[1] / (width / height)
    return 1 - min(ratio, 1 / ratio)


def centre_crop(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The middle of the picture at this size."""
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS)


def flipped(image: Image.Image) -> Image.Image:
    """The mirror image."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
