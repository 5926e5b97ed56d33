"""Find model files below folders: bounded, links followed once, nothing opened."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modules.catalog.folders import is_model_folder

SAFE_SUFFIX = ".safetensors"
GGUF_SUFFIX = ".gguf"
PICKLE_SUFFIXES = (".ckpt", ".pt", ".pth", ".bin")
MAX_DEPTH = 8
MAX_ENTRIES = 200_000


@dataclass(frozen=True)
class Found:
    """A model file or folder and the folder that was searched."""

    path: Path
    root: Path
    kind: str
    """"file", "folder" (diffusers) or "pickle"."""

    @property
    def name(self) -> str:
        """The path below the searched folder, with forward slashes."""
        return self.path.relative_to(self.root).as_posix()


def scan(roots: Iterable[Path], *, folders: bool = True) -> list[Found]:
    """All model files (and diffusers folders) below `roots`, sorted by name without regard to case.

    A name found in an earlier root hides the same name in a later one. Hidden files, sidecars and
    the insides of model folders are left out.
    """
    found: dict[str, Found] = {}
    for root in roots:
        for item in _walk(root, folders):
            found.setdefault(item.name, item)
    return sorted(found.values(), key=lambda item: (item.name.lower(), item.name))


def _walk(root: Path, folders: bool) -> Iterator[Found]:
    seen: set[tuple[int, int]] = set()
    waiting: list[tuple[Path, int]] = [(root, 0)]
    budget = MAX_ENTRIES
    while waiting:
        folder, depth = waiting.pop()
        for entry in _entries(folder, seen):
            budget -= 1
            if budget < 0:
                return
            path = Path(entry.path)
            if entry.name.startswith("."):
                continue
            if _is_dir(entry):
                if folders and is_model_folder(path):
                    yield Found(path, root, "folder")
                elif depth < MAX_DEPTH:
                    waiting.append((path, depth + 1))
                continue
            suffix = path.suffix.lower()
            if suffix in (SAFE_SUFFIX, GGUF_SUFFIX):
                yield Found(path, root, "file")
            elif suffix in PICKLE_SUFFIXES:
                yield Found(path, root, "pickle")


def _entries(folder: Path, seen: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    """The entries of a folder; nothing for one that was already visited through a link."""
    try:
        status = folder.stat()
        identity = (status.st_dev, status.st_ino)
        # Windows may give no inode numbers; depth alone bounds the walk there.
        if status.st_ino and identity in seen:
            return []
        seen.add(identity)
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
