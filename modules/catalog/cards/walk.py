"""Look through folders once: model files, and for each what lies beside it under the same name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modules.catalog.cards.pages import WEIGHTS
from modules.catalog.folders import INDEX
from modules.catalog.scan import MAX_DEPTH, MAX_ENTRIES

PREVIEW_TYPES = ("png", "jpg", "jpeg", "webp", "gif", "avif")
BESIDE = (".json", ".txt", ".civitai.info")
"""Endings of notes; a change of one makes a card's facts old."""


@dataclass(frozen=True)
class Entry:
    """One card's file, as the folder lists it; nothing of it is opened."""

    name: str
    """Path below the searched folder with forward slashes, without the ending."""
    path: Path
    root: Path
    size: int
    modified: float
    created: float
    preview: Path | None
    preview_stamp: str
    """Changes with the preview picture; empty without one."""
    stamp: str
    """Changes with the file and the notes beside it."""

    @property
    def folder(self) -> str:
        """The folder below the searched one; empty at its top."""
        return self.name.rpartition("/")[0]

    @property
    def stem(self) -> str:
        """The last part of the name."""
        return self.name.rpartition("/")[2]


def walk(roots: Iterable[Path], suffixes: tuple[str, ...]) -> list[Entry]:
    """All files with one of the endings below the folders; hidden ones are left out.

    Links are followed, no folder is read twice. A name found in an earlier folder hides the same
    name in a later one. A picture beside a weights file of its name is that file's preview.
    """
    found: dict[str, Entry] = {}
    for root in roots:
        for entry in _below(root, suffixes):
            found.setdefault(entry.name, entry)
    return list(found.values())


Listing = dict[str, os.DirEntry[str]]


def entry_at(path: Path, root: Path, listed: Listing | None = None) -> Entry | None:
    """The entry of one file or folder as it is now; None when it is gone.

    `listed` is what `listing` says of its folder, for whoever asks about many files of one.
    """
    listed = listing(path.parent) if listed is None else listed
    item = listed.get(path.name)
    if item is None:
        return None
    try:
        return _entry(item, path.parent, _place(path.parent, root), root, listed)
    except OSError:
        return None


def _below(root: Path, suffixes: tuple[str, ...]) -> Iterator[Entry]:
    seen: set[tuple[int, int]] = set()
    waiting: list[tuple[Path, int]] = [(root, 0)]
    budget = MAX_ENTRIES
    while waiting:
        folder, depth = waiting.pop()
        if not _first_visit(folder, seen):
            continue
        listed = listing(folder)
        budget -= len(listed)
        if budget < 0:
            return
        place = _place(folder, root)
        for name, item in listed.items():
            try:
                if item.is_dir():
                    if depth < MAX_DEPTH and not _is_model_folder(item.path):
                        waiting.append((folder / name, depth + 1))
                elif _is_model(name, suffixes, listed):
                    yield _entry(item, folder, place, root, listed)
            except OSError:
                continue


def _first_visit(folder: Path, seen: set[tuple[int, int]]) -> bool:
    try:
        status = folder.stat()
    except OSError:
        return False
    identity = (status.st_dev, status.st_ino)
    # Windows may give no inode numbers; depth alone bounds the walk there.
    if status.st_ino and identity in seen:
        return False
    seen.add(identity)
    return True


def _is_model_folder(path: str) -> bool:
    return os.path.isfile(os.path.join(path, INDEX))


def listing(folder: Path) -> Listing:
    """The visible things in a folder by name; nothing when it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return {item.name: item for item in entries if not item.name.startswith(".")}
    except OSError:
        return {}


def _is_model(name: str, suffixes: tuple[str, ...], listed: Listing) -> bool:
    stem, dot, ending = name.rpartition(".")
    suffix = f".{ending.lower()}"
    if not dot or suffix not in suffixes:
        return False
    if suffix in WEIGHTS:
        return True
    if stem.lower().endswith(".preview"):
        return False
    return not any(stem + other in listed for other in WEIGHTS)


def _place(folder: Path, root: Path) -> str:
    """What stands before the names of a folder's files: `sub/folder/`, or nothing."""
    below = folder.relative_to(root).as_posix()
    return "" if below == "." else f"{below}/"


def _entry(item: os.DirEntry[str], folder: Path, place: str, root: Path, listed: Listing) -> Entry:
    status = item.stat()
    stem = item.name if item.is_dir() else item.name.rpartition(".")[0]
    preview, preview_stamp = _preview(stem, item.name, folder, listed)
    if preview is None and item.is_dir():
        preview, preview_stamp = _preview(
            "preview", "", folder / item.name, listing(folder / item.name)
        )
    stamps = [f"{status.st_size}:{status.st_mtime_ns}"]
    for ending in BESIDE:
        beside = listed.get(stem + ending)
        if beside is not None:
            noted = beside.stat()
            stamps.append(f"{ending}{noted.st_size}:{noted.st_mtime_ns}")
    return Entry(
        name=place + stem,
        path=folder / item.name,
        root=root,
        size=status.st_size,
        modified=status.st_mtime,
        created=getattr(status, "st_birthtime", status.st_ctime),
        preview=preview,
        preview_stamp=preview_stamp,
        stamp="|".join(stamps),
    )


def _preview(stem: str, own_name: str, folder: Path, listed: Listing) -> tuple[Path | None, str]:
    """The picture beside a model: `<name>.preview.<type>` before `<name>.<type>`."""
    for middle in (".preview", ""):
        for kind in PREVIEW_TYPES:
            item = listed.get(f"{stem}{middle}.{kind}")
            if item is None or item.name == own_name:
                continue
            status = item.stat()
            return folder / item.name, f"{status.st_size}-{status.st_mtime_ns}"
    return None, ""
