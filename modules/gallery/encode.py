"""A picture as the bytes of a file, with its infotext in the place the format has for it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image, features
from PIL.PngImagePlugin import PngInfo

from modules.gallery.exif import exif_with_comment

FORMATS = ("png", "jpg", "jpeg", "webp", "avif", "gif")
MAX_JPEG_SIDE = 65535
MAX_WEBP_SIDE = 16383
MAX_EXIF = 65533 - 6
"""Bytes of EXIF that fit into a JPEG file's one segment."""


@dataclass(frozen=True)
class EncodedImage:
    """File content, its extension without dot, and a sentence when another format was taken."""

    data: bytes
    extension: str
    note: str = ""


Seal = Callable[[EncodedImage], EncodedImage]
"""What is done to a file's bytes last: signing them."""


def encode_image(
    image: Image.Image,
    file_format: str,
    infotext: str = "",
    options: Mapping[str, Any] | None = None,
    *,
    chunks: Mapping[str, str] | None = None,
    seal: Seal | None = None,
) -> EncodedImage:
    """Encode `image`; the infotext is written unless the setting `enable_pnginfo` is off.

    `chunks` are further PNG texts (such as `extras`). What a format cannot hold becomes PNG.

    Raises:
        ValueError: the format is not one of FORMATS.
    """
    encoded = _encoded(image, file_format, infotext, options or {}, chunks)
    return encoded if seal is None else seal(encoded)


def _encoded(
    image: Image.Image,
    file_format: str,
    infotext: str,
    options: Mapping[str, Any],
    chunks: Mapping[str, str] | None,
) -> EncodedImage:
    wanted = file_format.lower().lstrip(".")
    if wanted not in FORMATS:
        raise ValueError(f"samples_format: {file_format!r} is unknown; allowed: {FORMATS}")
    text = infotext
    if not options.get("enable_pnginfo", True):
        text, chunks = "", None
    reason = _why_not(image, wanted, text)
    if reason:
        return EncodedImage(_png(image, text, chunks), "png", f"Saved as PNG: {reason}.")
    if wanted == "png":
        return EncodedImage(_png(image, text, chunks), "png")
    writers = {"webp": _webp, "avif": _avif, "gif": _gif}
    return EncodedImage(writers.get(wanted, _jpeg)(image, text, options), wanted)


def _why_not(image: Image.Image, wanted: str, text: str) -> str:
    """Why the format cannot hold this picture, or nothing."""
    side = max(image.size)
    if wanted in ("jpg", "jpeg"):
        if side > MAX_JPEG_SIDE:
            return f"{image.width}x{image.height} is more than JPEG's {MAX_JPEG_SIDE} pixels a side"
        if text and len(exif_with_comment(text)) > MAX_EXIF:
            return "the generation parameters are too long for JPEG"
    if wanted == "webp" and side > MAX_WEBP_SIDE:
        return f"{image.width}x{image.height} is more than WebP's {MAX_WEBP_SIDE} pixels a side"
    if wanted in ("webp", "avif") and not features.check(wanted):
        return f"this installation of Pillow cannot write {wanted.upper()}"
    return ""


def _png(image: Image.Image, text: str, chunks: Mapping[str, str] | None) -> bytes:
    info = PngInfo()
    for key, value in {**({"parameters": text} if text else {}), **(chunks or {})}.items():
        info.add_text(key, value.encode("utf-8", "replace").decode("utf-8").replace("\0", ""))
    return _written(image, "PNG", pnginfo=info)


def _jpeg(image: Image.Image, text: str, options: Mapping[str, Any]) -> bytes:
    return _written(_flat(image), "JPEG", quality=_quality(options), **_exif(text))


def _webp(image: Image.Image, text: str, options: Mapping[str, Any]) -> bytes:
    lossless = bool(options.get("webp_lossless", False))
    return _written(
        _color(image), "WEBP", quality=_quality(options), lossless=lossless, **_exif(text)
    )


def _avif(image: Image.Image, text: str, options: Mapping[str, Any]) -> bytes:
    return _written(_color(image), "AVIF", quality=_quality(options), **_exif(text))


def _gif(image: Image.Image, text: str, _options: Mapping[str, Any]) -> bytes:
    comment = {"comment": text.encode("utf-8", "replace")} if text else {}
    return _written(image, "GIF", **comment)


def _written(image: Image.Image, file_format: str, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **settings)
    return buffer.getvalue()


def _exif(text: str) -> dict[str, bytes]:
    return {"exif": exif_with_comment(text)} if text else {}


def _quality(options: Mapping[str, Any]) -> int:
    return max(1, min(100, int(options.get("jpeg_quality", 80))))


def _color(image: Image.Image) -> Image.Image:
    return image if image.mode in ("RGB", "RGBA") else image.convert("RGB")


def _flat(image: Image.Image) -> Image.Image:
    """Without transparency, on white: JPEG has none."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGB", image.size, "white")
        ground.paste(image, mask=image.getchannel("A"))
        return ground
    return image if image.mode in ("RGB", "L") else image.convert("RGB")
