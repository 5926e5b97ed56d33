"""What a picture file says about itself, and opening strangers' pictures within limits.

Nothing of a file is decoded in this process (`modules.imaging.decoders`).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from PIL import Image

from modules.gallery.dialects import from_items, parse_any
from modules.gallery.errors import ImageReadError
from modules.gallery.exif import read_exif
from modules.gallery.infotext import ParsedInfotext, compose
from modules.gallery.stealth import read_stealth, stealth_items
from modules.imaging.decoders import (
    Bounds,
    Described,
    UnreadablePicture,
    decode,
    describe,
)
from modules.imaging.png_chunks import SIGNATURE, read_png_text

MAX_FILE_SIZE = 256 * 1024 * 1024
MAX_PIXELS = 100_000_000
MAX_HIDING_PIXELS = 40_000_000
"""Largest picture that is searched for parameters in its pixels."""

_SENTENCES = {
    "format": "The file is no PNG, JPEG, WebP, AVIF or GIF picture.",
    "damaged": "The picture is damaged and cannot be decoded.",
    "memory": "Decoding the picture takes more memory or time than one of its size needs.",
    "system": "The process that decodes pictures could not be started; try again.",
}
_IGNORED = frozenset(
    {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "exif", "loop", "background"}
    | {"timestamp", "duration", "progressive", "progression", "icc_profile", "chromaticity"}
    | {"photoshop", "gamma", "srgb", "transparency", "interlace", "aspect", "version", "xmp"}
    | {"XML:com.adobe.xmp", "extension", "comment"}
)


class ImageInfo(NamedTuple):
    """`text` is the infotext ("" when there is none), `items` all other texts of the file.

    `parsed` is what the text says, other programs' descriptions included; `text` is then their
    translation. `width` and `height` are the file's own.
    """

    text: str
    items: dict[str, str]
    parsed: ParsedInfotext
    width: int = 0
    height: int = 0
    format: str = ""


def read_image_info(source: Path | str | bytes) -> ImageInfo:
    """Read the texts of a picture file; its pixels are decoded only when no text tells parameters.

    Raises ImageReadError for a file that is missing, too large or no picture.
    """
    data = _bytes_of(source)
    try:
        file = describe(data)
    except UnreadablePicture as error:
        raise _refused(error) from error
    items = _texts(file, data)
    text, parsed = _infotext(items)
    if not text:
        hidden = _hidden_texts(file, data)
        items, (text, parsed) = {**items, **hidden}, _infotext({**items, **hidden})
    items = {key: value for key, value in items.items() if key not in ("parameters", "UserComment")}
    return ImageInfo(text, items, parsed, file.width, file.height, file.format)


def open_image(
    source: Path | str | bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_FILE_SIZE,
) -> Image.Image:
    """A stranger's picture (its first frame, as stored), as RGB, RGBA or L.

    Raises ImageReadError when it is no picture, damaged, or larger than the limits.
    """
    data = _bytes_of(source, max_bytes)
    try:
        return decode(data, Bounds(max_pixels), upright=False).image()
    except UnreadablePicture as error:
        raise _refused(error, max_pixels) from error


def _bytes_of(source: Path | str | bytes, max_bytes: int = MAX_FILE_SIZE) -> bytes:
    try:
        size = len(source) if isinstance(source, bytes) else Path(source).stat().st_size
        if size > max_bytes:
            raise ImageReadError(f"The picture file has {size:,} bytes; allowed are {max_bytes:,}.")
        return source if isinstance(source, bytes) else Path(source).read_bytes()
    except (OSError, ValueError) as error:
        raise ImageReadError("The picture file cannot be read.") from error


def _refused(error: UnreadablePicture, max_pixels: int = MAX_PIXELS) -> ImageReadError:
    if error.reason == "size":
        return ImageReadError(
            f"The picture has {error.width}x{error.height} = {error.width * error.height:,} "
            f"pixels; allowed are {max_pixels:,}."
        )
    return ImageReadError(_SENTENCES[error.reason])


def _texts(file: Described, data: bytes) -> dict[str, str]:
    """Every text of the file by its keyword, EXIF's under their own names."""
    if data.startswith(SIGNATURE):
        items = read_png_text(data)
    else:
        items = {key: value for key, value in file.texts.items() if key not in _IGNORED}
    if file.exif:
        items.update(read_exif(file.exif))
    comment = file.texts.get("comment", "")
    if file.format == "GIF" and comment and "UserComment" not in items:
        items["parameters"] = comment
    return {key: _clean(value) for key, value in items.items()}


def _hidden_texts(file: Described, data: bytes) -> dict[str, str]:
    """Texts in the pixels' lowest bits; none in a picture too big, lossy or damaged."""
    if file.format not in ("PNG", "WEBP") or file.width * file.height > MAX_HIDING_PIXELS:
        return {}
    try:
        text = read_stealth(decode(data, Bounds(MAX_HIDING_PIXELS), upright=False).image())
    except UnreadablePicture:
        return {}
    return {key: _clean(value) for key, value in stealth_items(text).items()} if text else {}


def _infotext(items: dict[str, str]) -> tuple[str, ParsedInfotext]:
    """The text A1111 would show and what it says; EXIF wins over the PNG chunk."""
    text = items.get("UserComment") or items.get("parameters") or ""
    if text:
        parsed = parse_any(text)
        if parsed.dialect in ("comfyui", "invokeai", "fooocus", "novelai") and text[:1] == "{":
            text = _translated(parsed)
        return text, parsed
    found = from_items(_with_comfy_exif(items))
    if found is None:
        return "", ParsedInfotext()
    return _translated(found), found


def _translated(parsed: ParsedInfotext) -> str:
    return compose(parsed.prompt, parsed.negative, parsed.parameters)


def _with_comfy_exif(items: dict[str, str]) -> dict[str, str]:
    """ComfyUI's WebP files carry `prompt:{…}` and `workflow:{…}` in Make and Model."""
    found = dict(items)
    for key in ("Make", "Model", "ImageDescription"):
        name, separator, value = items.get(key, "").partition(":")
        if separator and name.strip().lower() in ("prompt", "workflow"):
            found.setdefault(name.strip().lower(), value)
    return found


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
