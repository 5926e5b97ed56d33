"""Styles: the same things drawn by other hands, each with words that ask for it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from tools.starter.concepts import Concept, find_icon
from tools.starter.config import Config
from tools.starter.fetch import folder_of
from tools.starter.rasterise import draw

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Style:
    """A set of drawings beside the first one, and how captions ask for it."""

    key: str
    """Key of its source."""
    ending: str
    """What stands at the end of a caption."""


STYLES: tuple[Style, ...] = (
    Style("twemoji", ", flat style"),
    Style("fluent-flat", ", fluent flat style"),
    Style("fluent-3d", ", 3d render"),
    Style("emojione", ", glossy style"),
    Style("fxemoji", ", firefox style"),
)


def endings_of(config: Config) -> tuple[str, ...]:
    """Return the endings of captions for the configured styles; the first style has none."""
    return ("", *(style.ending for style in STYLES if style.key in config.styles))


def with_styles(
    config: Config, concepts: list[Concept], drawings: np.ndarray
) -> tuple[list[Concept], np.ndarray]:
    """Return the concepts and drawings with a further row for each drawing of another style."""
    rows, parts = list(concepts), [drawings]
    for style in STYLES:
        if style.key not in config.styles:
            continue
        found, pictures = _load(config, style, concepts)
        rows += [replace(concepts[row], ending=style.ending) for row in found]
        parts.append(pictures)
    return rows, drawings if len(parts) == 1 else np.concatenate(parts)


def _load(config: Config, style: Style, concepts: list[Concept]) -> tuple[list[int], np.ndarray]:
    """Rows of the concepts that a style has, and their drawings, drawn on the first call."""
    size = config.picture_size
    path = config.run / f"style-{style.key}-{size}-{len(concepts)}.npz"
    if not path.exists():
        folder = folder_of(style.key, config.downloads) / "package"
        read = _read_pictures if (folder / "assets").is_dir() else _read_icons
        made = read(folder, config.downloads, concepts, size)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".tmp.npz")
        np.savez(partial, rows=np.array(list(made), np.int64), drawings=np.stack([*made.values()]))
        partial.replace(path)
        log.info("%s: %d drawings", style.key, len(made))
    with np.load(path) as kept:
        return kept["rows"].tolist(), kept["drawings"]


def _read_icons(
    folder: Path, downloads: Path, concepts: list[Concept], size: int
) -> dict[int, np.ndarray]:
    icons = json.loads((folder / "icons.json").read_text(encoding="utf-8"))
    codes = json.loads((folder / "chars.json").read_text(encoding="utf-8"))
    known = set(icons["icons"]) | set(icons.get("aliases", {}))
    made = {}
    for row, (concept, entry) in enumerate(zip(concepts, _rows(downloads, concepts), strict=True)):
        icon = find_icon(entry, codes, known)
        if icon is not None and concept.drawn:
            made[row] = draw(icons, icon, size)
    return made


def _read_pictures(
    folder: Path, downloads: Path, concepts: list[Concept], size: int
) -> dict[int, np.ndarray]:
    """Pictures that are pixels already, named by code points."""
    made = {}
    for row, (concept, entry) in enumerate(zip(concepts, _rows(downloads, concepts), strict=True)):
        code = entry["hexcode"].lower()
        names = (code, code.replace("-fe0f", ""), code.replace("-fe0f", "") + "-fe0f")
        found = next((p for n in names if (p := folder / "assets" / f"{n}.webp").exists()), None)
        if found is not None and concept.drawn:
            with Image.open(found) as opened:
                picture = opened.convert("RGBa").resize((size, size), Image.Resampling.LANCZOS)
            made[row] = np.asarray(picture.convert("RGBA"))
    return made


def _rows(downloads: Path, concepts: list[Concept]) -> list[dict]:
    path = folder_of("emojibase", downloads) / "package" / "en" / "data.json"
    by_label = {row["label"]: row for row in json.loads(path.read_text(encoding="utf-8"))}
    return [by_label[concept.label] for concept in concepts]
