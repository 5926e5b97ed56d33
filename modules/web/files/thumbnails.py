"""Small WebP copies of pictures, made once and kept in the cache folder."""

from __future__ import annotations

import io
import logging
from pathlib import Path

from PIL import Image

from modules.gallery import open_image
from modules.settings import atomic

log = logging.getLogger("easel.files")


class Thumbnails:
    """A folder of thumbnails by picture id and size."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, image_id: str, size: int) -> Path:
        return self.folder / image_id[:2] / f"{image_id}-{size}.webp"

    def cached(self, image_id: str, size: int) -> bytes | None:
        """A thumbnail that was made before."""
        try:
            return self._path(image_id, size).read_bytes()
        except OSError:
            return None

    def make(self, image_id: str, size: int, original: bytes) -> bytes:
        """Make one, at most ``size`` pixels on the longer side, and keep it if the disk lets us.

        Raises:
            ImageReadError: the picture is damaged or larger than is opened.
        """
        small = open_image(original).convert("RGB")
        small.thumbnail((size, size), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        small.save(buffer, "WEBP", quality=82, method=2)
        data = buffer.getvalue()
        path = self._path(image_id, size)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_bytes(path, data)
        except OSError as error:
            log.warning("a thumbnail could not be kept: %s", error)
        return data
