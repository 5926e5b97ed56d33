"""Giving one picture the colours of another: as a whole, or along the edge of a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modules.imaging.membrane import spread

LUMINOSITY = (0.3, 0.59, 0.11)
"""Weights of red, green and blue in the blend mode "luminosity" (W3C Compositing, 13.1)."""


def match_colours(image: Image.Image, reference: Image.Image) -> Image.Image:
    """The picture with the reference's distribution of colours and its own luminosity, as RGB.

    Each channel's histogram is matched in LAB; then the luminosity of the picture itself is blended
    back, so that only hue and saturation change.
    """
    from cv2 import COLOR_LAB2RGB, COLOR_RGB2LAB, cvtColor

    pixels = np.asarray(image.convert("RGB"))
    source = cvtColor(pixels, COLOR_RGB2LAB)
    wanted = cvtColor(np.asarray(reference.convert("RGB")), COLOR_RGB2LAB)
    matched = np.stack([match_histogram(source[..., c], wanted[..., c]) for c in range(3)], axis=-1)
    return Image.fromarray(_with_luminosity_of(cvtColor(matched, COLOR_LAB2RGB), pixels))


def match_histogram(values: NDArray[np.uint8], reference: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The values mapped, in order, so that their distribution becomes the reference's."""
    counts = np.bincount(values.ravel(), minlength=256)
    wanted = np.bincount(reference.ravel(), minlength=256)
    known = np.flatnonzero(wanted)
    quantiles = np.cumsum(counts) / max(1, values.size)
    table = np.interp(quantiles, np.cumsum(wanted[known]) / max(1, reference.size), known)
    return np.rint(table).astype(np.uint8)[values]


def match_edges(
    original: Image.Image, result: Image.Image, mask: Image.Image, reach: int = 64
) -> Image.Image:
    """The repainted picture with its colours bent to meet the original's along the mask's edge.

    Outside the mask both show the same things, so their difference there is the model's colour
    shift. It is carried smoothly into the mask (a membrane over the hole) and fades out ``reach``
    pixels from the edge. All three have one size; the answer is RGB.
    """
    inside = np.asarray(mask.convert("L")) > 0
    if not inside.any() or inside.all():
        return result.convert("RGB")
    after = np.asarray(result.convert("RGB")).astype(np.float32)
    shift = np.asarray(original.convert("RGB")).astype(np.float32) - after
    corrected = after + np.where(inside[..., None], spread(shift, ~inside, reach), 0)
    return Image.fromarray(np.clip(np.rint(corrected), 0, 255).astype(np.uint8))


def _with_luminosity_of(colours: NDArray[np.uint8], source: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Hue and saturation of ``colours`` with the luminosity of ``source`` (SetLum, ClipColor)."""
    weights = np.array(LUMINOSITY, np.float32)
    wanted = (source.astype(np.float32) @ weights)[..., None]
    moved = colours.astype(np.float32)
    moved += wanted - (moved @ weights)[..., None]
    low = moved.min(axis=-1, keepdims=True)
    high = moved.max(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        shrink_low = np.where(low < 0, wanted / (wanted - low), 1)
        shrink_high = np.where(high > 255, (255 - wanted) / (high - wanted), 1)
    factor = np.nan_to_num(np.minimum(shrink_low, shrink_high), nan=0.0)
    return np.clip(np.rint(wanted + (moved - wanted) * factor), 0, 255).astype(np.uint8)
