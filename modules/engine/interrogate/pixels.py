"""Pictures as BLIP and CLIP want to see them."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
"""Of the pictures that CLIP was trained on."""


def stretched(image: Image.Image, side: int) -> torch.Tensor:
    """The whole picture in a square: normalised pixels ``[1, 3, side, side]``."""
    return _normalised(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC))


def centred(image: Image.Image, side: int) -> torch.Tensor:
    """The picture's middle square: normalised pixels ``[1, 3, side, side]``."""
    picture = image.convert("RGB")
    scale = side / min(picture.size)
    width, height = (max(side, round(length * scale)) for length in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - side) // 2, (height - side) // 2
    return _normalised(picture.crop((left, top, left + side, top + side)))


def _normalised(picture: Image.Image) -> torch.Tensor:
    pixels = np.asarray(picture, np.float32) / 255
    pixels = (pixels - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None]
