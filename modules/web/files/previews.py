"""Preview pictures of models: always made anew from the pixels, whatever the file claims to be."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

from PIL import Image, PngImagePlugin

from modules.catalog.cards.card import Card
from modules.catalog.cards.embedded import embedded_picture
from modules.catalog.errors import UnreadableModelError
from modules.catalog.header import open_regular
from modules.gallery import ImageReadError, open_image
from modules.settings import atomic
from modules.web.files.thumbnails import Thumbnails

MAX_BYTES = 32 * 1024 * 1024
MAX_PIXELS = 50_000_000
KEPT_SIDE = 768
"""Longer side of a preview that is kept beside a model, in pixels."""


class Previews:
    """Thumbnails of cards, kept in the cache folder by the stamp of what they were made from."""

    def __init__(self, folder: Path) -> None:
        self._thumbnails = Thumbnails(folder)

    def small(self, card: Card, size: int) -> bytes | None:
        """A WebP of a card's preview, or None when it has none that can be shown."""
        key = preview_key(card)
        if not key:
            return None
        cached = self._thumbnails.cached(key, size)
        if cached is not None:
            return cached
        original = _original(card)
        if original is None:
            return None
        try:
            return self._thumbnails.make(key, size, original)
        except ImageReadError:
            return None

    def of_bytes(self, data: bytes, size: int) -> bytes | None:
        """A WebP of any picture, or None for what is no picture."""
        try:
            return self._thumbnails.make(hashlib.sha256(data).hexdigest(), size, data)
        except ImageReadError:
            return None


def preview_key(card: Card) -> str:
    """A name for a card's preview that changes with it; empty when it has none."""
    entry = card.entry
    if entry.preview is not None:
        told = f"{entry.preview}\n{entry.preview_stamp}"
    elif card.facts.embedded:
        told = f"{entry.path}\n{entry.stamp}"
    else:
        return ""
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def preview_file(card: Card) -> Path:
    """Where a new preview of a card goes, whether one is there or not."""
    path = card.entry.path
    stem = path.name if path.is_dir() else path.stem
    return path.with_name(f"{stem}.preview.png")


def keep_preview(card: Card, picture: bytes, infotext: str) -> Path:
    """Make a picture the preview of a card; it goes beside the model with its parameters.

    Raises:
        ImageReadError: it is no picture, or a damaged one.
        OSError: the folder cannot be written.
    """
    image = open_image(picture, max_pixels=MAX_PIXELS, max_bytes=MAX_BYTES)
    image = image.convert("RGBA" if image.mode in ("RGBA", "LA", "PA") else "RGB")
    image.thumbnail((KEPT_SIDE, KEPT_SIDE), Image.Resampling.LANCZOS)
    chunks = PngImagePlugin.PngInfo()
    if infotext:
        chunks.add_text("parameters", infotext)
    stream = io.BytesIO()
    image.save(stream, "PNG", pnginfo=chunks)
    target = preview_file(card)
    atomic.write_bytes(target, stream.getvalue())
    return target


def drop_preview(card: Card) -> bool:
    """Delete the preview that `keep_preview` wrote; others are the user's own files and stay.

    Raises:
        OSError: it cannot be deleted.
    """
    target = preview_file(card)
    if not target.is_file():
        return False
    target.unlink()
    return True


def read_preview(path: Path) -> bytes | None:
    """The bytes of a preview file; None when it is missing, too large or no plain file."""
    try:
        with open_regular(path) as stream:
            data = stream.read(MAX_BYTES + 1) or b""
    except (OSError, UnreadableModelError):
        return None
    return data if 0 < len(data) <= MAX_BYTES else None


def _original(card: Card) -> bytes | None:
    if card.entry.preview is not None:
        return read_preview(card.entry.preview)
    return embedded_picture(card.entry.path)
