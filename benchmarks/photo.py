"""A photograph to measure with: scikit-image's astronaut, or a generated picture like one."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter


def provide_photo(side: int) -> Image.Image:
    """An RGB picture of `side` x `side` pixels, the same at every call on one machine."""
    try:
        from skimage import data
    except ImportError:
        return _generated(side)
    photo = Image.fromarray(data.astronaut()).convert("RGB")
    return photo.resize((side, side), Image.Resampling.LANCZOS)


def _generated(side: int) -> Image.Image:
    """Noise of all sizes, the large ones strong, as in photographs: amplitudes fall with 1/f."""
    rng = np.random.default_rng(7)
    planes = []
    for _ in range(3):
        sum_of_scales = np.zeros((side, side), np.float64)
        cells = 2
        while cells <= side:
            coarse = Image.fromarray(rng.random((cells, cells)).astype(np.float32), "F")
            fine = coarse.resize((side, side), Image.Resampling.BICUBIC)
            sum_of_scales += np.asarray(fine) / cells
            cells *= 2
        low, high = sum_of_scales.min(), sum_of_scales.max()
        planes.append(np.uint8((sum_of_scales - low) / (high - low) * 255))
    photo = Image.merge("RGB", [Image.fromarray(plane, "L") for plane in planes])
    return photo.filter(ImageFilter.UnsharpMask(2, 80))
