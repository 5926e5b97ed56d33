"""A picture's file without what it says: parameters, EXIF, credentials, comments, hidden texts.

PNG, JPEG, WebP and GIF are cut, not encoded again: their pixels stay as they are, and so do colour
profiles and the way a photograph is turned. What has no known use for showing the picture goes,
whatever it is. An invisible watermark stays: it is part of the pixels, and meant to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from modules.gallery.encode import encode_image
from modules.gallery.errors import ImageReadError
from modules.gallery.image_info import MAX_HIDING_PIXELS, open_image
from modules.gallery.stealth import read_stealth, without_stealth
from modules.gallery.stripping.gif import stripped_gif
from modules.gallery.stripping.jpeg import stripped_jpeg
from modules.gallery.stripping.png import stripped_png
from modules.gallery.stripping.webp import stripped_webp
from modules.imaging.kinds import mime_of
from modules.imaging.reading import open_picture
from modules.requests.errors import RequestError

MAX_MEGAPIXELS = 100.0
AVIF_QUALITY = 95


@dataclass(frozen=True)
class Stripped:
    """A file without its texts."""

    data: bytes
    extension: str
    encoded_again: bool = False
    """The pixels may differ a little (AVIF), or only in their lowest bits (hidden texts)."""


_CUTTERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "image/png": (stripped_png, "png"),
    "image/jpeg": (stripped_jpeg, "jpg"),
    "image/webp": (stripped_webp, "webp"),
    "image/gif": (stripped_gif, "gif"),
}


def strip_metadata(data: bytes) -> Stripped:
    """The same picture without anything that a file can say beside its pixels.

    Raises:
        ImageReadError: it is no PNG, JPEG, WebP, AVIF or GIF picture, damaged, or too large.
    """
    mime = mime_of(data)
    if mime == "image/avif":
        return _encoded_again(data)
    if mime is None:
        raise ImageReadError("The file is no PNG, JPEG, WebP, AVIF or GIF picture.")
    cut, extension = _CUTTERS[mime]
    try:
        clean = cut(data)
    except (IndexError, ValueError):
        raise ImageReadError("The picture is damaged; its texts cannot be taken out.") from None
    if mime in ("image/png", "image/webp"):
        found = _without_hidden_text(clean, extension)
        if found is not None:
            return found
    return Stripped(clean, extension)


def _encoded_again(data: bytes) -> Stripped:
    try:
        image = open_picture(data, "image", MAX_MEGAPIXELS)
    except RequestError as error:
        raise ImageReadError(error.sentence.partition(": ")[2].capitalize()) from None
    encoded = encode_image(image, "avif", "", {"jpeg_quality": AVIF_QUALITY})
    return Stripped(encoded.data, encoded.extension, True)


def _without_hidden_text(data: bytes, extension: str) -> Stripped | None:
    """The picture with other lowest bits, where these hold a text; None: there is none."""
    image = open_image(data)
    if image.width * image.height > MAX_HIDING_PIXELS or not read_stealth(image):
        return None
    clean: Image.Image = without_stealth(image)
    encoded = encode_image(clean, extension, "", {"webp_lossless": True})
    return Stripped(encoded.data, encoded.extension, True)
