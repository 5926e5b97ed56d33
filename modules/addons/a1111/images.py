"""A1111's ``images``: saving, sizes and grids of PIL pictures."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from modules.addons import host
from modules.addons.a1111 import script_callbacks, shared
from modules.addons.a1111.callback_params import ImageGridLoopParams, ImageSaveParams

LANCZOS = Image.Resampling.LANCZOS
NEAREST = Image.Resampling.NEAREST
invalid_filename_chars = '#<>:"/\\|?*\n\r\t'
max_filename_part_length = 128


def get_font(fontsize: int) -> Any:
    """A font for grids."""
    from PIL import ImageFont

    return ImageFont.load_default(fontsize)


def image_grid(imgs: list[Any], batch_size: int = 1, rows: int | None = None) -> Image.Image:
    """All pictures in one, left to right, top to bottom."""
    options = dict(shared.opts.data)
    if rows is None:
        wanted = int(options.get("n_rows", -1) or -1)
        rows = wanted if wanted > 0 else (batch_size if wanted == 0 else round(len(imgs) ** 0.5))
    rows = max(1, min(int(rows), len(imgs)))
    params = ImageGridLoopParams(list(imgs), math.ceil(len(imgs) / rows), rows)
    script_callbacks.image_grid_callback(params)
    width, height = (max(one.size[axis] for one in imgs) for axis in (0, 1))
    sheet = Image.new("RGB", (params.cols * width, params.rows * height), "black")
    for place, one in enumerate(params.imgs):
        sheet.paste(one, (place % params.cols * width, place // params.cols * height))
    return sheet


def resize_image(
    resize_mode: int, im: Image.Image, width: int, height: int, upscaler_name: str | None = None
) -> Image.Image:
    """0 stretches, 1 crops, 2 fills the rest with the border's colours."""
    from modules.imaging.resizing import resize_to

    return resize_to(im, int(width), int(height), int(resize_mode))


def flatten(img: Image.Image, bgcolor: str) -> Image.Image:
    """Without transparency, over a colour."""
    from modules.imaging.resizing import flatten as over

    return over(img, bgcolor)


def fix_image(image: Image.Image | None) -> Image.Image | None:
    """Upright, RGB or RGBA."""
    from PIL import ImageOps

    if image is None:
        return None
    image = ImageOps.exif_transpose(image) or image
    return image if image.mode in ("RGB", "RGBA", "L") else image.convert("RGB")


def read(fp: Any, **kwargs: Any) -> Image.Image | None:
    """Open a picture file."""
    image = Image.open(fp, **kwargs)
    image.load()
    return fix_image(image)


def sanitize_filename_part(text: str | None, replace_spaces: bool = True) -> str | None:
    """A text that can be part of a file's name."""
    if text is None:
        return None
    if replace_spaces:
        text = text.replace(" ", "_")
    text = text.translate({ord(sign): "_" for sign in invalid_filename_chars})
    return text.lstrip(" ")[:max_filename_part_length].rstrip(" .")


def get_next_sequence_number(path: str, basename: str) -> int:
    """One more than the largest number at the beginning of a file's name in a folder."""
    prefix = f"{basename}-" if basename else ""
    largest = -1
    folder = Path(path)
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name.startswith(prefix):
            found = re.match(r"\d+", entry.name[len(prefix) :])
            largest = max(largest, int(found[0]) if found else -1)
    return largest + 1


def save_image(
    image: Image.Image,
    path: str,
    basename: str,
    seed: int | None = None,
    prompt: str | None = None,
    extension: str = "png",
    info: str | None = None,
    short_filename: bool = False,
    no_prompt: bool = False,
    grid: bool = False,
    pnginfo_section_name: str = "parameters",
    p: Any = None,
    existing_info: dict[str, Any] | None = None,
    forced_filename: str | None = None,
    suffix: str = "",
    save_to_dirs: bool | None = None,
) -> tuple[str | None, str | None]:
    """Write a picture with its infotext; the full name, and that of a text file beside it.

    Raises:
        OSError: it cannot be written.
    """
    from modules.gallery import NameContext
    from modules.gallery import save_image as save

    paths = host.get().paths
    folder = Path(path or paths.data / "output")
    folder = folder if folder.is_absolute() else paths.data / folder
    name = forced_filename or basename or None
    params = ImageSaveParams(image, p, str(folder / f"{name or ''}.{extension}"), {})
    params.pnginfo = {**(existing_info or {}), pnginfo_section_name: info}
    script_callbacks.before_image_saved_callback(params)
    text = str(params.pnginfo.get(pnginfo_section_name) or "")
    context = NameContext(width=image.width, height=image.height)
    context = replace(context, **_known(seed, prompt, p))
    saved = save(
        params.image,
        text,
        context,
        dict(shared.opts.data),
        paths,
        folder=folder,
        file_format=str(extension or "png"),
        name=None if forced_filename is None and not grid and not basename else name,
        suffix=suffix,
    )
    image.already_saved_as = str(saved.path)  # type: ignore[attr-defined]
    params.filename = str(saved.path)
    script_callbacks.image_saved_callback(params)
    return str(saved.path), None


def _known(seed: int | None, prompt: str | None, p: Any) -> dict[str, Any]:
    """What the settings' patterns of names may say."""
    from dataclasses import fields

    from modules.gallery import NameContext

    names = {one.name for one in fields(NameContext)}
    found: dict[str, Any] = {"seed": seed, "prompt": prompt}
    if p is not None:
        found |= {"steps": p.steps, "cfg_scale": p.cfg_scale, "sampler": p.sampler_name}
        found |= {"negative_prompt": p.negative_prompt, "batch_index": p.batch_index}
    return {key: value for key, value in found.items() if key in names and value is not None}


def read_info_from_image(image: Image.Image) -> tuple[str | None, dict[str, Any]]:
    """The infotext of an open picture, and what else its file says."""
    items = dict(image.info or {})
    text = items.pop("parameters", None)
    if text is None:
        from PIL.ExifTags import IFD

        comment = image.getexif().get_ifd(IFD.Exif).get(0x9286, b"")
        if isinstance(comment, bytes) and comment.startswith((b"UNICODE\0", b"ASCII\0\0\0")):
            kind = "utf-16-be" if comment.startswith(b"UNICODE") else "utf-8"
            text = comment[8:].decode(kind, errors="replace") or None
    for noise in (
        "jfif",
        "jfif_version",
        "jfif_unit",
        "jfif_density",
        "dpi",
        "exif",
        "icc_profile",
    ):
        items.pop(noise, None)
    return text, items


def image_data(data: bytes) -> tuple[str | None, None]:
    """The infotext in a picture file's bytes."""
    import io

    try:
        with Image.open(io.BytesIO(data)) as image:
            return read_info_from_image(image)[0], None
    except OSError:
        return data.decode("utf-8", errors="replace"), None


class Grid:
    """A picture cut into tiles: ``tiles`` is rows of (y, height, [[x, width, tile], …])."""

    def __init__(
        self, tiles: list[Any], tile_w: int, tile_h: int, image_w: int, image_h: int, overlap: int
    ) -> None:
        self.tiles = tiles
        self.tile_w = tile_w
        self.tile_h = tile_h
        self.image_w = image_w
        self.image_h = image_h
        self.overlap = overlap

    @property
    def tile_count(self) -> int:
        """How many there are."""
        return sum(len(row[2]) for row in self.tiles)


def split_grid(image: Image.Image, tile_w: int = 512, tile_h: int = 512, overlap: int = 64) -> Grid:
    """Cut a picture into tiles that overlap."""
    width, height = image.size
    wide, high = tile_w - overlap, tile_h - overlap
    columns = math.ceil((width - overlap) / wide)
    rows = math.ceil((height - overlap) / high)
    across = (width - tile_w) / (columns - 1) if columns > 1 else 0
    down = (height - tile_h) / (rows - 1) if rows > 1 else 0
    grid = Grid([], tile_w, tile_h, width, height, overlap)
    for row in range(rows):
        y = max(0, min(int(row * down), height - tile_h))
        tiles = []
        for column in range(columns):
            x = max(0, min(int(column * across), width - tile_w))
            tiles.append([x, tile_w, image.crop((x, y, x + tile_w, y + tile_h))])
        grid.tiles.append([y, tile_h, tiles])
    return grid


def combine_grid(grid: Grid) -> Image.Image:
    """Tiles in one picture again, faded over where they overlap."""
    import numpy as np

    def mask(values: Any, size: tuple[int, int]) -> Image.Image:
        whole = np.broadcast_to(values, size) * 255 / max(grid.overlap, 1)
        return Image.fromarray(whole.astype(np.uint8), "L")

    ramp = np.arange(grid.overlap, dtype=np.float32)
    fade_x = mask(ramp.reshape(1, -1), (grid.tile_h, grid.overlap))
    fade_y = mask(ramp.reshape(-1, 1), (grid.overlap, grid.image_w))
    whole = Image.new("RGB", (grid.image_w, grid.image_h))
    for y, height, row in grid.tiles:
        line = Image.new("RGB", (grid.image_w, height))
        for x, width, tile in row:
            if x == 0:
                line.paste(tile, (0, 0))
                continue
            line.paste(tile.crop((0, 0, grid.overlap, height)), (x, 0), mask=fade_x)
            line.paste(tile.crop((grid.overlap, 0, width, height)), (x + grid.overlap, 0))
        if y == 0:
            whole.paste(line, (0, 0))
            continue
        whole.paste(line.crop((0, 0, line.width, grid.overlap)), (0, y), mask=fade_y)
        rest = line.crop((0, grid.overlap, line.width, height))
        whole.paste(rest, (0, y + grid.overlap))
    return whole
