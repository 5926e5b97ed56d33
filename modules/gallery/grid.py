"""Contact sheets: all pictures of a job in one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageColor

from modules.gallery.errors import GalleryError


def grid_rows(count: int, batch_size: int, options: Mapping[str, Any]) -> int:
    """Rows for `count` pictures: `n_rows` above 0, the batch size for 0, about the root for -1.

    With `grid_prevent_empty_spots` the automatic number divides `count`.
    """
    wanted = int(options.get("n_rows", -1))
    if wanted > 0:
        rows = wanted
    elif wanted == 0:
        rows = batch_size
    elif options.get("grid_prevent_empty_spots", False):
        rows = math.isqrt(count)
        while count % rows:
            rows -= 1
    else:
        rows = round(math.sqrt(count))
    return max(1, min(rows, count))


def make_grid(
    images: Sequence[Image.Image], batch_size: int, options: Mapping[str, Any]
) -> Image.Image:
    """The pictures left to right, top to bottom, in cells of the largest one's size.

    Raises:
        GalleryError: there is no picture, or the sheet would exceed `img_max_size_mp`.
    """
    if not images:
        raise GalleryError("A grid needs at least one picture.")
    rows = grid_rows(len(images), batch_size, options)
    columns = math.ceil(len(images) / rows)
    width = max(image.width for image in images)
    height = max(image.height for image in images)
    limit = float(options.get("img_max_size_mp", 200))
    if width * height * rows * columns > limit * 1_000_000:
        raise GalleryError(
            f"The grid of {columns}x{rows} pictures would have {width * columns}x{height * rows} "
            f"pixels; the setting img_max_size_mp allows {limit:g} million."
        )
    sheet = Image.new("RGB", (columns * width, rows * height), _background(options))
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        sheet.paste(image.convert("RGB"), (column * width, row * height))
    return sheet


def _background(options: Mapping[str, Any]) -> tuple[int, ...]:
    try:
        return ImageColor.getrgb(str(options.get("grid_background_color", "#ffffff")))[:3]
    except ValueError:
        return (255, 255, 255)
