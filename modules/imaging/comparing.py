"""Whether two pictures have the same pixels, and if not, by how much they differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Comparison:
    """How two pictures differ."""

    pixels: int
    """Of the first picture."""
    differing: int
    """Pixels with another colour; all of them when the sizes differ."""
    largest: int
    """Largest difference of a channel, 0 to 255; 255 when the sizes differ."""
    mean: float
    """Mean difference of all channels of all pixels, 0 to 255."""

    @property
    def same(self) -> bool:
        """Every pixel is equal."""
        return not self.differing


def compare(one: Image.Image, other: Image.Image) -> Comparison:
    """Compare colours and transparency, pixel by pixel, in 8 bits."""
    count = one.width * one.height
    if one.size != other.size:
        return Comparison(count, count, 255, 255.0)
    first, second = (np.asarray(picture.convert("RGBA"), np.int16) for picture in (one, other))
    distance = np.abs(first - second)
    return Comparison(
        count,
        int(distance.any(axis=-1).sum()),
        int(distance.max(initial=0)),
        float(distance.mean()) if count else 0.0,
    )
