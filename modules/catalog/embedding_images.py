"""Textual inversions that are carried by pictures, as A1111 saves them while it trains.

Either a PNG text chunk holds the vectors as JSON in base64, or the vectors are in the pixels: the
picture stands between two blocks of noise, each separated from it by a black column. The four lower
bits of the left block's colours, and those of the right one's, are the lower and upper halves of
bytes of a zlib stream of the same JSON, veiled by a known sequence of random numbers.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modules.catalog.errors import UnreadableModelError, UnsupportedModelError
from modules.catalog.header import open_regular
from modules.imaging.png_chunks import SIGNATURE, read_png_text

IMAGE_SUFFIXES = (".png", ".webp", ".jxl", ".avif")
CHUNK = "sd-ti-embedding"
MAX_JSON = 16 * 1024 * 1024
"""Bytes: 75 vectors of 2048 numbers take about 3 MB."""
MAX_PIXELS = 40_000_000
MAX_FILE = 128 * 1024 * 1024


@dataclass(frozen=True)
class ImageEmbedding:
    """What a picture carries."""

    name: str
    """As it was trained; empty when the picture does not say."""
    parts: Mapping[str, np.ndarray]
    """"*" or the name of a text encoder to [vectors, width], float32."""
    step: int | None = None


def embedding_of_image(path: Path) -> ImageEmbedding:
    """The embedding in a picture.

    Raises:
        UnreadableModelError: the picture cannot be read.
        UnsupportedModelError: it carries none, or a damaged one.
    """
    from modules.imaging.decoders import Bounds, UnreadablePicture, decode

    data = _read(path)
    chunk = read_png_text(data).get(CHUNK, "") if data.startswith(SIGNATURE) else ""
    try:
        pixels = None
        if not chunk:
            picture = decode(data, Bounds(MAX_PIXELS), upright=False).image()
            pixels = np.asarray(picture.convert("RGB"))
    except UnreadablePicture as error:
        if error.reason == "size":
            raise UnsupportedModelError(path, "has too many pixels") from error
        raise UnreadableModelError(path, "is not a readable picture") from error
    try:
        text = _of_chunk(chunk) if chunk else _of_pixels(pixels)
        if text is None:
            raise UnsupportedModelError(path, "is a picture without an embedding")
        return _embedding(json.loads(text))
    except UnsupportedModelError:
        raise
    except (ValueError, TypeError, RecursionError, zlib.error, binascii.Error) as error:
        raise UnsupportedModelError(path, "carries a damaged embedding") from error


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as stream:
            data = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise UnreadableModelError(path, "is not a readable picture") from error
    if len(data) > MAX_FILE:
        raise UnsupportedModelError(path, "is too large for a picture with an embedding")
    return data


def _of_chunk(chunk: str) -> bytes:
    if len(chunk) > 2 * MAX_JSON:
        raise ValueError("too long")
    return base64.b64decode(chunk)


def _of_pixels(pixels: np.ndarray) -> bytes | None:
    """The JSON in the pixels [height, width, 3]; None when there is nothing of the kind."""
    inner = _without_border(pixels) & 0x0F
    black = np.flatnonzero(inner.sum(axis=(0, 2), dtype=np.int64) == 0)
    if len(black) < 2:
        return None
    lower, upper = inner[:, : black[0]], inner[:, black[-1] + 1 :]
    if lower.shape != upper.shape or not lower.size:
        return None
    veil = _veil(lower.size).reshape(lower.shape)
    stream = ((upper ^ veil) << 4 | (lower ^ veil)).astype(np.uint8).tobytes()
    unpacker = zlib.decompressobj()
    return unpacker.decompress(stream, MAX_JSON)


def _without_border(pixels: np.ndarray) -> np.ndarray:
    """Without the rows and columns at the edges in which every pixel has a colour at 0."""
    lit = (pixels > 0).all(axis=2)
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    if not len(rows):
        return pixels[:0, :0]
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _veil(count: int) -> np.ndarray:
    """Lower halves of the numbers of a linear congruential generator modulo 255.

    One multiplication doubles what is known: n steps at once are a linear step, too.
    """
    multiplier, increment = 1664525, 1013904223
    states = np.empty(count + 1, np.uint32)
    states[0], known = 0, 1
    while known <= count:
        piece = states[known : 2 * known]
        np.multiply(states[: len(piece)], np.uint32(multiplier), out=piece)
        piece += np.uint32(increment)
        increment = (multiplier * increment + increment) & 0xFFFFFFFF
        multiplier = multiplier * multiplier & 0xFFFFFFFF
        known *= 2
    return (states[1:] % 255 & 0x0F).astype(np.uint8)


def _embedding(data: Any) -> ImageEmbedding:
    params = data["string_to_param"]
    if not isinstance(params, dict) or len(params) != 1:
        raise ValueError("not one word")
    (value,) = params.values()
    vectors = np.asarray(value["TORCHTENSOR"], dtype=np.float32)
    if vectors.ndim == 1:
        vectors = vectors[None]
    if vectors.ndim != 2 or not vectors.size or not np.isfinite(vectors).all():
        raise ValueError("not a list of vectors")
    name, step = data.get("name"), data.get("step")
    return ImageEmbedding(
        name if isinstance(name, str) else "",
        {"*": vectors},
        step if type(step) is int else None,
    )
