"""Parameters hidden in the lowest bits of a picture's pixels, as NovelAI and others write them.

The layout, as the writers' public programs give it: the lowest bits of alpha (or of red, green
and blue in turn), column by column, form a stream of bits, the highest of each byte first. It
holds a 15-byte signature, a length in bits (32 bits, big-endian), and the text: UTF-8, plain or
gzip.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    import numpy as np

SIGNATURES = {
    b"stealth_pnginfo": ("alpha", False),
    b"stealth_pngcomp": ("alpha", True),
    b"stealth_rgbinfo": ("colours", False),
    b"stealth_rgbcomp": ("colours", True),
}
"""Signature to where the bits lie, and whether the text is compressed."""
_SIGNATURE_BYTES = 15
_HEAD_BYTES = _SIGNATURE_BYTES + 4
MAX_TEXT = 4 * 1024 * 1024
"""Bytes of text; a small picture can hold a compressed one of any size."""


def read_stealth(image: Image.Image) -> str:
    """The hidden text of a decoded picture; "" when there is none or it is damaged."""
    for place, bands in (("alpha", "A"), ("colours", "RGB")):
        if not set(bands) <= set(image.getbands()):
            continue
        text = _read(_lowest_bits(image, bands), place)
        if text:
            return text
    return ""


def stealth_items(text: str) -> dict[str, str]:
    """The texts that a hidden text stands for, by their PNG keywords.

    NovelAI hides its PNG texts as one JSON object; others hide A1111's parameters as they are.
    """
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict) and "Software" in told:
        return {key: value for key, value in told.items() if isinstance(value, str)}
    return {"parameters": text}


def _lowest_bits(image: Image.Image, bands: str) -> np.ndarray:
    """The bits [columns * rows * bands] in the order of the writers, not yet packed."""
    import numpy as np

    planes = image.getchannel("A") if bands == "A" else image.convert("RGB")
    pixels = np.asarray(planes)
    columns_first = pixels.swapaxes(0, 1).reshape(-1)
    return columns_first & 1


def _read(bits: np.ndarray, place: str) -> str:
    import numpy as np

    if len(bits) < _HEAD_BYTES * 8:
        return ""
    head = np.packbits(bits[: _HEAD_BYTES * 8]).tobytes()
    found, compressed = SIGNATURES.get(head[:_SIGNATURE_BYTES], ("", False))
    if found != place:
        return ""
    length = int.from_bytes(head[_SIGNATURE_BYTES:], "big")
    if length % 8 or not 0 < length <= min(len(bits) - _HEAD_BYTES * 8, MAX_TEXT * 8):
        return ""
    data = np.packbits(bits[_HEAD_BYTES * 8 : _HEAD_BYTES * 8 + length]).tobytes()
    return _text(data, compressed)


def _text(data: bytes, compressed: bool) -> str:
    if compressed:
        unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        try:
            data = unpacker.decompress(data, MAX_TEXT)
        except zlib.error:
            return ""
        if not unpacker.eof:
            return ""
    return data.decode("utf-8", "replace")


def without_stealth(image: Image.Image) -> Image.Image:
    """The picture with lowest bits that hide nothing: alpha's are set, the colours' cleared."""
    import numpy as np

    pixels = np.array(image.convert("RGBA") if image.mode != "RGB" else image)
    pixels[..., :3] &= 0xFE
    if pixels.shape[2] == 4:
        pixels[..., 3] |= 1
    return Image.fromarray(pixels)
