"""Models' dictionaries for Chinese prompts, read once per file."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from modules.catalog.errors import UnreadableModelError
from modules.catalog.folders import read_json
from modules.prompts.translation import BadDictionaryError, Dictionary

log = logging.getLogger("easel.catalog")


class Dictionaries:
    """Remembers what it has read until the file changes; a broken file counts as none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Path, tuple[tuple[int, int], Dictionary | None]] = {}

    def at(self, path: Path | None) -> Dictionary | None:
        """The dictionary of a file, or None when there is none or it cannot be used."""
        if path is None:
            return None
        try:
            found = path.stat()
        except OSError:
            return None
        stamp = (found.st_mtime_ns, found.st_size)
        with self._lock:
            kept = self._kept.get(path)
            if kept is None or kept[0] != stamp:
                kept = self._kept[path] = (stamp, _read(path))
            return kept[1]


def _read(path: Path) -> Dictionary | None:
    try:
        return Dictionary.from_json(read_json(path, path))
    except (UnreadableModelError, BadDictionaryError) as error:
        log.warning("the dictionary %s cannot be used: %s", path, error)
        return None
