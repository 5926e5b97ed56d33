"""An invisible mark in a picture's pixels: a few bytes, written hundreds of times over.

Where the bits lie is the business of the methods (`watermark_methods`), which are those of the
package ``invisible-watermark``: its decoder reads our marks, and we read those that other programs
write with it.

What a mark survives: JPEG and WebP of usual quality, small changes of brightness. What it does not:
another size, a turn, a crop that is no multiple of 8 pixels, a repainted picture. It is a sign for
the honest, no proof against anybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING

from PIL import Image

from modules.imaging.watermark_methods import METHODS, bands_of, changed

if TYPE_CHECKING:
    import numpy as np

MIN_PIXELS = 256 * 256
"""Smaller pictures hold too few copies; the package refuses them too."""
MIN_BLOCKS = 512
"""Of 8x8 pixels: very narrow pictures have few whole ones."""
READ_PIXELS = 8_000_000
"""A mark is read from so much of a picture's top: a part holds copies enough."""
MAX_BYTES = 16
DEFAULT_TEXT = "Easel AI"
DEFAULT_METHOD = "dwtDctSvd"
CHANCE = 1e-7
"""How likely chance alone gives one of the marks."""
ROUNDS = 3
"""Times the picture is looked at again and mended where rounding to 8 bits lost a bit."""


def _bits_of(data: bytes) -> tuple[int, ...]:
    return tuple(int(bit) for byte in data for bit in f"{byte:08b}")


@dataclass(frozen=True)
class Mark:
    """Bits that somebody writes into pictures."""

    name: str
    """Whose they are."""
    bits: tuple[int, ...]

    @classmethod
    def of_text(cls, name: str, text: str) -> Mark:
        """The bits of a text in UTF-8, the highest of each byte first."""
        return cls(name, _bits_of(text.encode("utf-8")))


@dataclass(frozen=True)
class Found:
    """A mark in a picture."""

    name: str
    """"Easel", or the program that writes such a mark."""
    text: str
    """Our text; "" for the marks of others."""
    method: str
    agreement: float
    """Share of the bits that are as they should be, 0 to 1."""


OTHERS = (
    Mark.of_text("Stable Diffusion 1", "StableDiffusionV1"),
    Mark.of_text("Stable Diffusion 2", "SDV2"),
    Mark("Stable Diffusion XL", tuple(map(int, f"{0xB3EC907BB19E:048b}"))),
    Mark.of_text("InvokeAI", "InvokeAI"),
)
"""What other programs write."""


def check_text(text: str) -> None:
    """
    Raises:
        ValueError: a mark cannot hold this text.
    """
    size = len(text.encode("utf-8", "replace"))
    if not 1 <= size <= MAX_BYTES:
        raise ValueError(f"a watermark has 1 to {MAX_BYTES} bytes, and {text!r} has {size}")


def embed(
    image: Image.Image, text: str = DEFAULT_TEXT, method: str = DEFAULT_METHOD
) -> Image.Image | None:
    """The picture with the text in it; None when it is too small. Transparency stays.

    Args:
        image: any mode; the result is RGB, or RGBA where the picture has transparency.
        text: 1 to MAX_BYTES bytes in UTF-8.
        method: a key of METHODS.

    Raises:
        ValueError: the text is empty or too long.
    """
    import numpy as np

    check_text(text)
    if not _holds_a_mark(image):
        return None
    bits = np.array(_bits_of(text.encode("utf-8")))
    original = np.asarray(image.convert("RGB"))
    shift = np.zeros(original.shape[:2])
    marked = original
    for _ in range(ROUNDS):
        blocks = bands_of(marked)
        wanted = METHODS[method].written(blocks, np.resize(bits, len(blocks)))
        shift += changed(wanted - blocks, original.shape[:2])
        marked = _shifted(original, shift)
    result = Image.fromarray(marked)
    if "A" in image.getbands() or "transparency" in image.info:
        result.putalpha(image.convert("RGBA").getchannel("A"))
    return result


def find_mark(image: Image.Image, texts: Iterable[str] = (DEFAULT_TEXT,)) -> Found | None:
    """The mark in a picture: one of our ``texts``, or another program's; None without any."""
    if not _holds_a_mark(image):
        return None
    import numpy as np

    rows = max(8 * MIN_BLOCKS // (image.width // 8), READ_PIXELS // image.width) // 8 * 8 + 8
    top = image.crop((0, 0, image.width, min(rows, image.height)))
    blocks = bands_of(np.asarray(top.convert("RGB")))
    ours = [(text, Mark.of_text("Easel", text)) for text in dict.fromkeys(texts) if text]
    marks = ours + [("", mark) for mark in OTHERS]
    best: Found | None = None
    for method, way in METHODS.items():
        read = way.read(blocks)
        for text, mark in marks:
            right = int((_votes(read, len(mark.bits)) == np.array(mark.bits)).sum())
            found = Found(mark.name, text, method, right / len(mark.bits))
            better = best is None or found.agreement > best.agreement
            if right >= _needed(len(mark.bits)) and better:
                best = found
    return best


def _holds_a_mark(image: Image.Image) -> bool:
    blocks = (image.width // 8) * (image.height // 8)
    return image.width * image.height >= MIN_PIXELS and blocks >= MIN_BLOCKS


def _shifted(pixels: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """RGB [height, width, 3] with U changed by ``shift`` [height, width], in 8 bits.

    A colour that would leave the range takes its brightness along, so that white can be marked too.
    """
    import numpy as np

    red, green, blue = (pixels[..., band].astype(np.float32) for band in range(3))
    shift = shift.astype(np.float32)
    green -= 0.395 * shift
    blue += 2.032 * shift
    above = np.maximum(np.maximum(red, green), blue) - 255
    below = np.minimum(np.minimum(red, green), blue)
    light = np.maximum(above, 0) + np.minimum(below, 0)
    moved = np.stack([plane - light for plane in (red, green, blue)], axis=2)
    return np.rint(moved).clip(0, 255).astype(np.uint8)


def _votes(read: np.ndarray, length: int) -> np.ndarray:
    """The bits [length] that most of their blocks say; the package's rounding."""
    import numpy as np

    place = np.arange(len(read)) % length
    ones = np.bincount(place, read, minlength=length)
    return (ones / np.bincount(place, minlength=length) * 255 > 127).astype(np.int64)


def _needed(length: int) -> int:
    """So many bits of ``length`` must be right that chance alone gives them CHANCE times."""
    tail, right = 0, length + 1
    while right > 0 and (tail + comb(length, right - 1)) / 2**length <= CHANCE:
        right -= 1
        tail += comb(length, right)
    return right
