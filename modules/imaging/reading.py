"""Strangers' pictures, as RGB, RGBA or L, or one sentence that says why not.

Format and size are looked at first; what passes is decoded by a process of its own, with limits
(`modules.imaging.decoders`). Pillow's other decoders stay shut.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from modules.imaging.decoders import Bounds, Decoded, UnreadablePicture, decode
from modules.requests.errors import RequestError
from modules.requests.limits import SIDE_LIMIT

MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_MEGAPIXELS = 64.0
_SENTENCES = {
    "format": "this is no picture; allowed: PNG, JPEG, WebP, AVIF or GIF.",
    "damaged": "the picture is damaged and cannot be decoded.",
    "memory": "decoding the picture takes more memory or time than one of its size needs.",
    "system": "the process that decodes pictures could not be started; try again.",
}


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
    found = _decoded(data, field, max_megapixels, pixels=False)
    return PictureFacts(
        found.format, found.width, found.height, found.mode, found.mode == "RGBA", found.frames
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
    return _decoded(data, field, max_megapixels).image()


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


def _decoded(data: bytes, field: str, max_megapixels: float, *, pixels: bool = True) -> Decoded:
    _check_bytes(len(data), field)
    if not data:
        raise RequestError(field, "", "the picture is empty; send a PNG, JPEG, WebP, AVIF or GIF.")
    try:
        return decode(data, Bounds(max_megapixels * 1e6, SIDE_LIMIT), pixels=pixels)
    except UnreadablePicture as error:
        raise _refused(error, field, max_megapixels) from error


def _refused(error: UnreadablePicture, field: str, max_megapixels: float) -> RequestError:
    size = f"{error.width}x{error.height}"
    megapixels = error.width * error.height / 1e6
    if error.reason != "size":
        return RequestError(field, "…", _SENTENCES[error.reason])
    if max(error.width, error.height) > SIDE_LIMIT:
        return RequestError(
            field, size, f"the picture is {size}; allowed: sides up to {SIDE_LIMIT} pixels."
        )
    return RequestError(
        field,
        size,
        f"the picture is {size} = {megapixels:.1f} megapixels; allowed: {max_megapixels:g}.",
    )
