"""The wildcard files: `<name>.txt` in the wildcards folder or below it, one entry a line."""

from __future__ import annotations

import fnmatch
import logging
import re
import threading
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

MAX_FILE_SIZE = 16 * 1024 * 1024
MAX_FILES = 20_000

_WEIGHT = re.compile(r"(\d+\.?\d*|\.\d+)::")

log = logging.getLogger("easel.prompts")


@dataclass(frozen=True)
class Entries:
    """The lines of a wildcard with the running sum of their weights."""

    texts: tuple[str, ...]
    cumulative: tuple[float, ...]

    @classmethod
    def of(cls, pairs: list[tuple[float, str]]) -> Entries:
        """Entries from (weight, text) pairs; all weights zero counts as all equal."""
        weights = [weight for weight, _ in pairs]
        if not any(weights):
            weights = [1.0] * len(pairs)
        return cls(tuple(text for _, text in pairs), tuple(accumulate(weights)))

    def pairs(self) -> list[tuple[float, str]]:
        """Weight and text of every entry."""
        before = (0.0, *self.cumulative)
        weights = (end - start for start, end in zip(before, self.cumulative, strict=False))
        return list(zip(weights, self.texts, strict=True))

    def draw(self, point: float) -> int:
        """Index of the entry at `point` (0 to below 1) of the summed weights."""
        index = bisect_right(self.cumulative, point * self.cumulative[-1])
        return min(index, len(self.texts) - 1)


NO_ENTRIES = Entries((), ())


class WildcardLibrary:
    """Reads wildcard files below one folder and nowhere else."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._lock = threading.Lock()
        self._cache: dict[Path, tuple[tuple[int, int], Entries]] = {}

    def names(self) -> list[str]:
        """Every wildcard's name, with `/` between folders, sorted."""
        if not self.folder.is_dir():
            return []
        names: list[str] = []
        for path in self.folder.rglob("*.txt"):
            if len(names) >= MAX_FILES:
                log.warning("More than %d wildcard files; the rest is not listed", MAX_FILES)
                break
            if self._is_inside(path):
                names.append(path.relative_to(self.folder).with_suffix("").as_posix())
        return sorted(names)

    def entries(self, name: str) -> Entries | None:
        """The entries of `name`; None when there is no such file.

        `*` in the name stands for any part of a name: `animals/*` joins the files of a folder.
        """
        if "*" in name:
            matching = [known for known in self.names() if fnmatch.fnmatchcase(known, name)]
            found = [entries for known in matching if (entries := self.entries(known))]
            return Entries.of([pair for entries in found for pair in entries.pairs()])
        path = self._path(name)
        return self._read(path) if path is not None else None

    def _path(self, name: str) -> Path | None:
        """The file of a wildcard; None for a name that leads out of the folder or to no file."""
        parts = name.split("/")
        if any(part.strip() in ("", ".", "..") for part in parts):
            return None
        if any(sign in name for sign in ("\\", ":", "\x00")):
            return None
        path = self.folder.joinpath(*parts[:-1], parts[-1] + ".txt")
        return path if self._is_inside(path) else None

    def _is_inside(self, path: Path) -> bool:
        try:
            real = path.resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            return False
        return real.is_file() and real.is_relative_to(self.folder.resolve())

    def _read(self, path: Path) -> Entries:
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            with self._lock:
                cached = self._cache.get(path)
            if cached and cached[0] == stamp:
                return cached[1]
            if status.st_size > MAX_FILE_SIZE:
                log.warning("The wildcard file %s is larger than 16 MiB and is not read", path)
                return NO_ENTRIES
            text = path.read_bytes().decode("utf-8-sig", "replace")
        except OSError as error:
            log.warning("The wildcard file %s cannot be read: %s", path, error)
            return NO_ENTRIES
        lines = (line.strip() for line in text.splitlines())
        entries = Entries.of([_entry(line) for line in lines if line and line[0] != "#"])
        with self._lock:
            self._cache[path] = (stamp, entries)
        return entries


def _entry(line: str) -> tuple[float, str]:
    match = _WEIGHT.match(line)
    if match is None:
        return 1.0, line
    return min(float(match.group(1)), 1e9), line[match.end() :].strip()
