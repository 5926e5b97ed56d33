"""Draw the icons once: one RGBA array on disk, a row for each concept."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import numpy as np
from PIL import Image

from tools.starter.concepts import Concept
from tools.starter.fetch import folder_of

log = logging.getLogger(__name__)


def load_drawings(concepts: list[Concept], downloads: Path, cache: Path, size: int) -> np.ndarray:
    """Return `[concepts, size, size, 4]` uint8 RGBA, drawing it on the first call."""
    path = cache / f"drawings-{size}-{len(concepts)}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        drawings = _draw_all(concepts, downloads, size)
        partial = path.with_suffix(".tmp.npy")
        np.save(partial, drawings)
        partial.replace(path)
    return np.load(path, mmap_mode="r")


def _draw_all(concepts: list[Concept], downloads: Path, size: int) -> np.ndarray:
    text = (folder_of("noto", downloads) / "package" / "icons.json").read_text(encoding="utf-8")
    icons = json.loads(text)
    drawings = np.zeros((len(concepts), size, size, 4), np.uint8)
    for row, concept in enumerate(concepts):
        drawings[row] = draw(icons, concept.icon, size)
        if row % 200 == 0:
            log.info("drawn %d of %d", row, len(concepts))
    return drawings


def draw(icons: dict, name: str, size: int) -> np.ndarray:
    """Draw one icon of an Iconify set: `[size, size, 4]` uint8 RGBA."""
    import resvg_py

    flip = False
    while name not in icons["icons"]:
        alias = icons["aliases"][name]
        flip ^= bool(alias.get("hFlip"))
        name = alias["parent"]
    icon = icons["icons"][name]
    width = icon.get("width", icons.get("width", 128))
    height = icon.get("height", icons.get("height", 128))
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width} {height}" width="{size}" height="{size}">{icon["body"]}</svg>'
    )
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size))
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))
    return picture[:, ::-1] if flip else picture
