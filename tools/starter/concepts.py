"""Concepts: what a picture shows, by which names, and which drawing it is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tools.starter.fetch import folder_of

VOCABULARY = Path(__file__).with_name("vocabulary.txt")
_SKIPPED_GROUPS = {None, 2, 9}  # regional letters, components, flags
_SKIPPED_LABELS = re.compile(
    r":|o.clock|-thirty|keycap|button|medium|small square|^(man|men|woman|women) |^input "
    r"|facing right|^deaf |couple|^family|^kiss:|holding hands|wearing turban|person (pouting|gest)"
)
_APOSTROPHE = "\u2019"
_KEPT = {"man", "woman"}


@dataclass(frozen=True)
class Concept:
    """One drawable thing."""

    label: str
    """Its emojibase label, unique within a style."""
    names: tuple[str, ...]
    """What people call it, the usual name first; "~" marks a name that takes no article."""
    icon: str
    """The icon's name in the Iconify set."""
    group: int
    common: bool = False
    drawn: bool = False
    """Whether the UNet is trained on it (the text encoder knows every concept)."""
    late: bool = False
    """Whether it joins the UNet's training in the second stretch only."""
    weak: bool = False
    """Whether it came out weakly in the first stretch."""
    ending: str = ""
    """What a caption ends with to ask for this drawing's style; the first style needs nothing."""


@dataclass(frozen=True)
class Entry:
    """One line of the vocabulary file."""

    label: str
    names: tuple[str, ...]
    common: bool
    drawn: bool
    late: bool
    weak: bool


def read_vocabulary(path: Path = VOCABULARY) -> list[Entry]:
    """Read the hand-written vocabulary (its format is explained at its top)."""
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        drawn, late, weak = (not text.startswith("-"), text.startswith("+"), text.startswith("!"))
        text = text.lstrip("-+! ")
        common = text.startswith("*")
        label, _, names = text.lstrip("*").partition(" = ")
        listed = tuple(name.strip() for name in names.split(",")) if names else (label,)
        entries.append(Entry(label, listed, common, drawn, late, weak))
    return entries


def load_concepts(downloads: Path, every: bool = False) -> list[Concept]:
    """Return every concept that has a drawing, in a fixed order; `every` draws all of them."""
    noto = folder_of("noto", downloads) / "package"
    emojibase = folder_of("emojibase", downloads) / "package"
    icons = json.loads((noto / "icons.json").read_text(encoding="utf-8"))
    by_code = json.loads((noto / "chars.json").read_text(encoding="utf-8"))
    rows = json.loads((emojibase / "en" / "data.json").read_text(encoding="utf-8"))
    written = {entry.label: entry for entry in read_vocabulary()}
    known = set(icons["icons"]) | set(icons.get("aliases", {}))
    concepts = []
    for row in rows:
        label = row["label"]
        entry = written.pop(label, None)
        if entry is None and not _is_wanted(row):
            continue
        icon = find_icon(row, by_code, known)
        if icon is None:
            continue
        names = entry.names if entry else (_plain(label),)
        marks = (entry.common, entry.drawn, entry.late, entry.weak) if entry else (False,) * 4
        common, drawn, late, weak = marks
        concepts.append(
            Concept(label, names, icon, row["group"], common, drawn or every, late, weak)
        )
    if written:
        raise ValueError(f"no drawing for: {sorted(written)}")
    return concepts


def _is_wanted(row: dict) -> bool:
    if row.get("group") in _SKIPPED_GROUPS:
        return False
    label = row["label"]
    return label in _KEPT or not _SKIPPED_LABELS.search(label)


def _plain(label: str) -> str:
    return label.replace(_APOSTROPHE, "'").replace("\u201c", "").replace("\u201d", "")


def find_icon(row: dict, by_code: dict[str, str], known: set[str]) -> str | None:
    """Return the name of the icon of an emojibase row, by code points or by its label."""
    code = row["hexcode"].lower()
    short = code.replace("-fe0f", "")
    slug = re.sub(r"[^a-z0-9]+", "-", row["label"].lower().replace(_APOSTROPHE, "")).strip("-")
    for candidate in (by_code.get(code), by_code.get(short), by_code.get(short + "-fe0f"), slug):
        if candidate in known:
            return candidate
    return None
