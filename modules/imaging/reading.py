"""Strangers' pictures: checked before they are decoded, then brought to RGB, RGBA or L."""

from __future__ import annotations

import io
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from modules.requests.errors import RequestError
from modules.requests.limits import SIDE_LIMIT

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF")
"""What is opened at all: Pillow's other decoders stay shut to hostile files."""

MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_MEGAPIXELS = 64.0

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what brings the picture upright."""


@dataclass(frozen=True)
class PictureFacts:
    """What a checked picture is, as :func:`open_picture` would give it."""

    format: str
    width: int
    height: int
    """In pixels, upright."""
    mode: str
    """``RGB``, ``RGBA`` or ``L``."""
    has_alpha: bool
    """At least one pixel is not opaque."""
    frames: int
    """1 for a still picture. For a GIF, 2 means more than one: counting would read all of it."""


def check_picture(data: bytes, field: str, max_megapixels: float = MAX_MEGAPIXELS) -> PictureFacts:
    """What a picture file is, after it was decoded once to prove that it can be.

    Raises:
        RequestError: it is no picture, damaged, or larger than the limits.
    """
    with _opened(data, field) as image:
        _check_size(image, field, max_megapixels)
        file_format, frames = image.format or "", _frames(image)
        upright = _decoded(image, field)
    return PictureFacts(
        file_format, upright.width, upright.height, upright.mode, upright.mode == "RGBA", frames
    )


def open_picture(
    source: bytes | Path | str, field: str, max_megapixels: float = MAX_MEGAPIXELS
) -> Image.Image:
    """The first frame of a picture, upright, as RGB, RGBA (only if something shines through) or L.

    Sixteen bits become eight, CMYK and palettes RGB; an alpha channel that is opaque everywhere is
    dropped.

    Raises:
        RequestError: there is no such file, it is no picture, damaged, or larger than the limits.
    """
    data = source if isinstance(source, bytes) else _read(Path(source), field)
    with _opened(data, field) as image:
        _check_size(image, field, max_megapixels)
        return _decoded(image, field)


def normalise(image: Image.Image) -> Image.Image:
    """Any Pillow image as RGB, RGBA (only if something shines through) or L, eight bits each."""
    if image.mode.startswith(("I", "F")):
        plain = _eight_bits(image)
    elif image.mode in ("LA", "La", "PA", "RGBa") or "transparency" in image.info:
        plain = image.convert("RGBA")
    elif image.mode == "1":
        plain = image.convert("L")
    elif image.mode in ("RGB", "RGBA", "L"):
        plain = image.copy()
    else:
        plain = image.convert("RGB")
    if plain.mode == "RGBA" and plain.getchannel("A").getextrema()[0] == 255:
        plain = plain.convert("L" if image.mode in ("LA", "La") else "RGB")
    plain.info = {}
    return plain


def _read(path: Path, field: str) -> bytes:
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise RequestError(field, path.name, f"{path.name!r} is no file.")
        _check_bytes(facts.st_size, field)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError(field, path.name, f"the file {path.name!r} cannot be read.") from error


def _check_bytes(size: int, field: str) -> None:
    if size > MAX_FILE_BYTES:
        raise RequestError(
            field, size, f"the picture's file has {size:,} bytes; allowed: {MAX_FILE_BYTES:,}."
        )


def _opened(data: bytes, field: str) -> Image.Image:
    _check_bytes(len(data), field)
    if not data:
        raise RequestError(field, "", "the picture is empty; send a PNG, JPEG, WebP, AVIF or GIF.")
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise RequestError(field, "…", "the picture has more pixels than can be opened.") from error
    except Exception as error:  # decoders raise nearly anything on hostile data
        raise RequestError(
            field, "…", "this is no picture; allowed: PNG, JPEG, WebP, AVIF or GIF."
        ) from error


def _check_size(image: Image.Image, field: str, max_megapixels: float) -> None:
    width, height = image.size
    size = f"{width}x{height}"
    if max(width, height) > SIDE_LIMIT:
        raise RequestError(
            field, size, f"the picture is {size}; allowed: sides up to {SIDE_LIMIT} pixels."
        )
    megapixels = width * height / 1e6
    if megapixels > max_megapixels:
        raise RequestError(
            field,
            size,
            f"the picture is {size} = {megapixels:.1f} megapixels; allowed: {max_megapixels:g}.",
        )


def _frames(image: Image.Image) -> int:
    if not getattr(image, "is_animated", False):
        return 1
    return 2 if image.format == "GIF" else int(getattr(image, "n_frames", 2))


def _decoded(image: Image.Image, field: str) -> Image.Image:
    """Decode, normalise and turn upright."""
    try:
        image.load()
        turn = _TURNS.get(_orientation(image))
        plain = normalise(image)
    except Exception as error:  # see _opened
        raise RequestError(field, "…", "the picture is damaged and cannot be decoded.") from error
    return plain.transpose(turn) if turn is not None else plain


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF data says nothing about the pixels
        return 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey values of more than eight bits: 65535 becomes 255."""
    values = np.asarray(image).astype(np.float64)
    grey = np.nan_to_num(values, nan=0.0)
    if image.mode.startswith("I;16") or (image.mode == "I" and grey.max(initial=0) > 255):
        grey = grey / 257
    pixels = Image.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8))
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        alpha = np.where(values == clear, 0, 255).astype(np.uint8)
        return Image.merge("RGBA", (pixels, pixels, pixels, Image.fromarray(alpha)))
    return pixels
