"""Inpainting masks: reading, blurring, the box of "only masked", and masked content "fill".

A mask is an L image, 255 where the picture is repainted and 0 where it is kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter, ImageOps

FILL_BLURS = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))
"""Radius and repeats of the blurs that fill a hole from its surroundings, coarse to fine."""


class Box(NamedTuple):
    """A rectangle in pixels; right and bottom are outside it, as in Pillow."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.bottom - self.top

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height

    def moved(self, right: int, down: int) -> Box:
        """The same rectangle elsewhere."""
        return Box(self.left + right, self.top + down, self.right + right, self.bottom + down)

    def union(self, other: Box) -> Box:
        """The smallest rectangle that holds both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def within(self, size: tuple[int, int], margin: int = 0) -> Box:
        """Grown by ``margin`` on all sides, and cut at a picture of ``size``."""
        return Box(
            max(0, self.left - margin),
            max(0, self.top - margin),
            min(size[0], self.right + margin),
            min(size[1], self.bottom + margin),
        )

    def meets(self, other: Box) -> bool:
        """Both have pixels in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


def read_mask(image: Image.Image) -> Image.Image:
    """A picture as a mask: its alpha channel if something shines through, else its luminance."""
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        alpha = image.convert("RGBA").getchannel("A")
        if alpha.getextrema() != (255, 255):
            return alpha
    return image.convert("L")


def prepare_mask(
    mask: Image.Image,
    size: tuple[int, int],
    invert: bool = False,
    blur_x: float = 0,
    blur_y: float = 0,
    round: bool = True,
) -> Image.Image:
    """The mask as it is used: at the picture's size, rounded to 0 and 255, inverted, blurred.

    Args:
        mask: any picture; :func:`read_mask` says how it is read.
        size: of the picture; a mask of another size is stretched over it.
        blur_x, blur_y: sigma of the Gaussian along each axis, in pixels.
        round: values above 128 become 255, others 0; without it greys stay (soft inpainting).
    """
    plain = read_mask(mask)
    if plain.size != size:
        plain = plain.resize(size, Image.Resampling.BILINEAR)
    if round:
        plain = plain.point(lambda value: 255 if value > 128 else 0)
    if invert:
        plain = ImageOps.invert(plain)
    return blurred(plain, blur_x, blur_y)


def blurred(mask: Image.Image, blur_x: float, blur_y: float) -> Image.Image:
    """Gaussian blur along each axis for itself, kernel 2·int(2.5·blur + 0.5) + 1 pixels."""
    if blur_x <= 0 and blur_y <= 0:
        return mask
    from cv2 import GaussianBlur

    pixels = np.asarray(mask)
    if blur_x > 0:
        pixels = GaussianBlur(pixels, (kernel_size(blur_x), 1), blur_x)
    if blur_y > 0:
        pixels = GaussianBlur(pixels, (1, kernel_size(blur_y)), blur_y)
    return Image.fromarray(pixels)


def kernel_size(blur: float) -> int:
    """Width in pixels of the blur's kernel."""
    return 2 * int(2.5 * blur + 0.5) + 1


def is_blank(mask: Image.Image) -> bool:
    """Nothing is to be repainted."""
    return mask.getbbox() is None


def padded_box(mask: Image.Image, padding: int, processing_size: tuple[int, int]) -> Box | None:
    """The part of the picture that "only masked" renders; None for a blank mask.

    The mask's bounding box with ``padding`` pixels around it, cut at the picture, then grown about
    its middle to the aspect ratio of ``processing_size`` and moved back inside where it sticks out.
    A picture that is too small for that limits it.
    """
    found = mask.getbbox()
    if found is None:
        return None
    width, height = mask.size
    box = Box(
        max(found[0] - padding, 0),
        max(found[1] - padding, 0),
        min(found[2] + padding, width),
        min(found[3] + padding, height),
    )
    wide, high = processing_size
    if box.width * high > box.height * wide:
        top, bottom = _grown(box.top, box.bottom, int(box.width * high / wide), height)
        return Box(box.left, top, box.right, bottom)
    left, right = _grown(box.left, box.right, int(box.height * wide / high), width)
    return Box(left, box.top, right, box.bottom)


def _grown(start: int, end: int, wanted: int, limit: int) -> tuple[int, int]:
    """A stretch about the same middle, at least ``wanted`` long, within 0 … ``limit``."""
    more = max(0, wanted - (end - start))
    length = min(end - start + more, limit)
    start = min(max(0, start - more // 2), limit - length)
    return start, start + length


def fill_masked(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture with its masked part painted in colours of the surroundings, as RGB.

    The kept part alone, weighted by its alpha, is blurred with shrinking radii (FILL_BLURS), each
    laid over the one before, so that far holes get broad colours and edges sharp ones.
    """
    kept = Image.new("RGBa", image.size)
    kept.paste(image.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(mask.convert("L")))
    filled = Image.new("RGBA", image.size)
    for radius, repeats in FILL_BLURS:
        layer = kept.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(repeats):
            filled.alpha_composite(layer)
    return filled.convert("RGB")


def latent_mask(
    mask: Image.Image,
    shape: tuple[int, int],
    round: bool = True,
) -> NDArray[np.float32]:
    """The mask on the latent grid: float32 [height, width], 0 … 1, rounded to 0 and 1 if asked."""
    height, width = shape
    small = mask.convert("L").resize((width, height), Image.Resampling.BICUBIC)
    values = np.asarray(small).astype(np.float32) / 255
    return np.around(values) if round else values


def union(first: Image.Image, second: Image.Image) -> Image.Image:
    """What either mask repaints."""
    return ImageChops.lighter(first, second)
