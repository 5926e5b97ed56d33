"""Bringing pictures to the size that is computed, in img2img's resize modes 0 to 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from PIL import Image, ImageColor

from modules.requests.errors import RequestError

STRETCH, CROP, FILL = 0, 1, 2
"""Just resize; crop and resize; resize and fill. (3, latent upscale, is the engine's.)"""

Upscale = Callable[[Image.Image, float], Image.Image]
"""An upscaler: the picture enlarged by at least about this factor."""


def resize_to(
    image: Image.Image,
    mode: int,
    width: int,
    height: int,
    resample: Literal["lanczos", "nearest"] | Upscale = "lanczos",
) -> Image.Image:
    """The picture at exactly ``width`` x ``height`` pixels.

    Mode 0 stretches, 1 cuts what does not fit off both sides, 2 fits the whole picture in and
    repeats its outermost rows or columns. A picture that has the size already comes back unchanged.
    An upscaler given as ``resample`` is used where the picture grows; Lanczos does the rest.

    Raises:
        ValueError: the mode is not 0, 1 or 2.
    """
    if image.size == (width, height):
        return image.copy()
    if mode == STRETCH:
        return _scaled(image, width, height, resample)
    if mode == CROP:
        return _cropped(image, width, height, resample)
    if mode == FILL:
        return _filled(image, width, height, resample)
    raise ValueError(f"resize_mode: {mode} is not possible here; allowed: 0, 1, 2")


def flatten(image: Image.Image, background: str = "#ffffff") -> Image.Image:
    """The picture as RGB, on ``background`` where it is transparent; opaque pixels stay exact.

    Raises:
        RequestError: the colour cannot be read.
    """
    if image.mode not in ("RGBA", "LA", "PA", "La", "RGBa") and "transparency" not in image.info:
        return image.convert("RGB")
    seen = image.convert("RGBA")
    flat = Image.new("RGB", image.size, _colour(background))
    flat.paste(seen.convert("RGB"), mask=seen.getchannel("A"))
    return flat


def fitted_size(size: tuple[int, int], width: int, height: int, *, cover: bool) -> tuple[int, int]:
    """The size that keeps the aspect ratio and covers ``width`` x ``height``, or fits inside it."""
    wide = width * size[1] > height * size[0]  # the target is wider than the picture
    if wide == cover:
        return width, max(1, size[1] * width // size[0])
    return max(1, size[0] * height // size[1]), height


def _colour(text: str) -> tuple[int, int, int]:
    try:
        red, green, blue, *_ = ImageColor.getrgb(text)
    except ValueError as error:
        raise RequestError(
            "img2img_background_color", text, f"{text!r} is no colour; allowed: as #ffffff."
        ) from error
    return red, green, blue


def _scaled(
    image: Image.Image,
    width: int,
    height: int,
    resample: Literal["lanczos", "nearest"] | Upscale,
    box: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    if callable(resample):
        grows = max(width / image.width, height / image.height)
        if grows > 1 and image.mode != "L" and box is None:
            image = resample(image, grows)
        if image.size == (width, height):
            return image
        resample = "lanczos"
    kind = {"lanczos": Image.Resampling.LANCZOS, "nearest": Image.Resampling.NEAREST}[resample]
    return image.resize((width, height), kind, box=box)


def _cropped(
    image: Image.Image,
    width: int,
    height: int,
    resample: Literal["lanczos", "nearest"] | Upscale,
) -> Image.Image:
    """Scale to cover the target and cut the middle out."""
    cover = fitted_size(image.size, width, height, cover=True)
    left, top = cover[0] // 2 - width // 2, cover[1] // 2 - height // 2
    if callable(resample):
        grows = max(cover[0] / image.width, cover[1] / image.height)
        if grows > 1 and image.mode != "L":
            image = resample(image, grows)
        resample = "lanczos"
    # Only the part that stays is computed: covering with a ribbon would take gigabytes.
    across, down = image.width / cover[0], image.height / cover[1]
    box = (left * across, top * down, (left + width) * across, (top + height) * down)
    return _scaled(image, width, height, resample, _inside(box, image.size))


def _inside(
    box: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return max(0.0, left), max(0.0, top), min(float(size[0]), right), min(float(size[1]), bottom)


def _filled(
    image: Image.Image,
    width: int,
    height: int,
    resample: Literal["lanczos", "nearest"] | Upscale,
) -> Image.Image:
    """Scale to fit inside the target, centred, and repeat the edges outwards."""
    inner = fitted_size(image.size, width, height, cover=False)
    pixels = np.asarray(_scaled(image, *inner, resample))
    left, top = width // 2 - inner[0] // 2, height // 2 - inner[1] // 2
    around = [(top, height - inner[1] - top), (left, width - inner[0] - left)]
    around += [(0, 0)] * (pixels.ndim - 2)
    return Image.fromarray(np.pad(pixels, around, mode="edge"))
