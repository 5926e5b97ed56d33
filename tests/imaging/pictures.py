"""Pictures for the tests of this room: ordinary, odd and hostile."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def noisy(width: int, height: int, seed: int = 0, channels: int = 3) -> Image.Image:
    """A picture in which no two neighbouring pixels are likely to be equal."""
    shape = (height, width, channels) if channels > 1 else (height, width)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def smooth(width: int, height: int, seed: int = 0) -> Image.Image:
    """A picture of broad colours, as photographs are: noise of 4x4 pixels, enlarged."""
    return noisy(4, 4, seed).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, file_format: str = "PNG", **how: object) -> bytes:
    """The bytes of an image file."""
    stream = io.BytesIO()
    image.save(stream, file_format, **how)
    return stream.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A tiny PNG file whose header claims a size and whose data is a few compressed zeros."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    chunks = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body
