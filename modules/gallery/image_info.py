"""What a picture file says about itself, and opening strangers' pictures within limits."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from modules.gallery.dialects import from_items, parse_any
from modules.gallery.errors import ImageReadError
from modules.gallery.exif import read_exif
from modules.gallery.infotext import ParsedInfotext, compose
from modules.gallery.png_chunks import SIGNATURE, read_png_text
from modules.gallery.stealth import read_stealth, stealth_items

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF")
MAX_FILE_SIZE = 256 * 1024 * 1024
MAX_PIXELS = 100_000_000
MAX_HIDING_PIXELS = 40_000_000
"""Largest picture that is searched for parameters in its pixels."""

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
    with _open(data) as image:
        items = _texts(image, data)
        width, height, file_format = image.width, image.height, image.format or ""
        text, parsed = _infotext(items)
        if not text:
            hidden = _hidden_texts(image)
            items, (text, parsed) = {**items, **hidden}, _infotext({**items, **hidden})
    items = {key: value for key, value in items.items() if key not in ("parameters", "UserComment")}
    return ImageInfo(text, items, parsed, width, height, file_format)


def open_image(
    source: Path | str | bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_FILE_SIZE,
) -> Image.Image:
    """Decode a stranger's picture (its first frame), after its size was checked.

    Raises ImageReadError when it is no picture, damaged, or larger than the limits.
    """
    data = _bytes_of(source, max_bytes)
    with _open(data) as image:
        _check_pixels(image, max_pixels)
        try:
            image.load()
        except Exception as error:  # decoders raise nearly anything on damaged data
            raise ImageReadError("The picture is damaged and cannot be decoded.") from error
        return image.copy()


def _bytes_of(source: Path | str | bytes, max_bytes: int = MAX_FILE_SIZE) -> bytes:
    try:
        size = len(source) if isinstance(source, bytes) else Path(source).stat().st_size
        if size > max_bytes:
            raise ImageReadError(f"The picture file has {size:,} bytes; allowed are {max_bytes:,}.")
        return source if isinstance(source, bytes) else Path(source).read_bytes()
    except (OSError, ValueError) as error:
        raise ImageReadError("The picture file cannot be read.") from error


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageReadError("The picture has more pixels than can be opened.") from error
    except Exception as error:  # see open_image
        raise ImageReadError("The file is no PNG, JPEG, WebP, AVIF or GIF picture.") from error


def _check_pixels(image: Image.Image, max_pixels: int) -> None:
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise ImageReadError(
            f"The picture has {image.width}x{image.height} = {pixels:,} pixels; "
            f"allowed are {max_pixels:,}."
        )


def _texts(image: Image.Image, data: bytes) -> dict[str, str]:
    """Every text of the file by its keyword, EXIF's under their own names."""
    items: dict[str, str] = {}
    if data.startswith(SIGNATURE):
        items.update(read_png_text(data))
    else:
        for key, value in image.info.items():
            if isinstance(key, str) and isinstance(value, str) and key not in _IGNORED:
                items[key] = value
    exif = image.info.get("exif")
    if isinstance(exif, bytes):
        for key, value in read_exif(exif).items():
            items[key] = value
    comment = image.info.get("comment")
    if image.format == "GIF" and isinstance(comment, (bytes, str)) and "UserComment" not in items:
        text = comment if isinstance(comment, str) else comment.decode("utf-8", "replace")
        items["parameters"] = text
    return {key: _clean(value) for key, value in items.items()}


def _hidden_texts(image: Image.Image) -> dict[str, str]:
    """Texts in the pixels' lowest bits; none in a picture too big, lossy or damaged."""
    if image.format not in ("PNG", "WEBP") or image.width * image.height > MAX_HIDING_PIXELS:
        return {}
    try:
        image.load()
        text = read_stealth(image)
    except Exception:  # decoders raise nearly anything on damaged data
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
