"""Small versions of pictures, made on demand and kept in the cache folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

from PIL import Image

from modules.gallery.encode import encode_image
from modules.gallery.errors import GalleryError
from modules.gallery.image_info import open_image
from modules.settings import atomic

SIZES = (256, 512)


def thumbnail(source: Path, cache: Path, size: int = 256) -> Path:
    """A JPEG of at most `size` pixels a side of the picture at `source`; gives the cached file.

    Raises:
        GalleryError: the picture is missing or cannot be read, or `size` is none of SIZES.
    """
    if size not in SIZES:
        raise GalleryError(f"size: {size} is not one of {', '.join(map(str, SIZES))}.")
    try:
        status = source.stat()
    except OSError as error:
        raise GalleryError("The picture is no longer there.") from error
    mark = f"{source.resolve()}|{status.st_mtime_ns}|{status.st_size}|{size}"
    digest = hashlib.sha256(mark.encode("utf-8", "replace")).hexdigest()
    path = cache / "thumbnails" / digest[:2] / f"{digest[2:34]}.jpg"
    if path.is_file():
        return path
    image = open_image(source)
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    data = encode_image(image, "jpg", "", {"jpeg_quality": 85}).data
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, data)
    except OSError as error:
        raise GalleryError("The thumbnail cannot be written.") from error
    return path
