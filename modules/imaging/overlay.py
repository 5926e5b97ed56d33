"""Putting a repainted part back so that every pixel outside the mask stays byte-identical."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modules.imaging.masks import Box
from modules.imaging.resizing import CROP, resize_to


def overlay_mask(mask: Image.Image) -> Image.Image:
    """The mask for laying the original back over a picture that was repainted as a whole.

    Doubled and clipped, so that the blur's fading lies outside what was painted.
    """
    return mask.convert("L").point(lambda value: min(255, value * 2))


def paste_back(
    original: Image.Image,
    result: Image.Image,
    mask: Image.Image | None,
    box: Box | None = None,
) -> Image.Image:
    """The original with the repainted part laid in, as RGB.

    Pixels where the mask is 0, and all outside the box, are the original's bytes; where it is 255
    they are the result's; in between both are mixed.

    Args:
        original: the whole picture before.
        result: the whole picture after, or what became of ``box``; brought to its size by cropping
            and resizing.
        mask: of the original's size; None takes the result as it is.
        box: the part that was rendered; None means all of it.

    Raises:
        ValueError: the mask's size is not the original's.
    """
    box = box or Box(0, 0, *original.size)
    if mask is not None and mask.size != original.size:
        raise ValueError(f"mask: its size is {mask.size}, the picture's {original.size}")
    part = resize_to(result.convert("RGB"), CROP, *box.size)
    final = original.convert("RGB")
    if mask is None:
        final.paste(part, box[:2])
        return final
    before = np.asarray(final.crop(box)).astype(np.uint32)
    after = np.asarray(part).astype(np.uint32)
    weight = np.asarray(mask.convert("L").crop(box)).astype(np.uint32)[..., None]
    mixed = (before * (255 - weight) + after * weight + 127) // 255
    final.paste(Image.fromarray(mixed.astype(np.uint8)), box[:2])
    return final


def changed_outside(original: Image.Image, final: Image.Image, mask: Image.Image) -> int:
    """How many pixels differ between two pictures of one size where the mask is 0.

    Raises:
        ValueError: the three are not of one size.
    """
    if not original.size == final.size == mask.size:
        raise ValueError(
            f"sizes differ: {original.size}, {final.size}, mask {mask.size}; nothing to compare"
        )
    outside = np.asarray(mask.convert("L")) == 0
    return int(np.count_nonzero(_differs(original, final) & outside))


def _differs(first: Image.Image, second: Image.Image) -> NDArray[np.bool_]:
    """Where the pixels of two pictures differ, seen as RGB: [height, width]."""
    return np.any(np.asarray(first.convert("RGB")) != np.asarray(second.convert("RGB")), axis=-1)
