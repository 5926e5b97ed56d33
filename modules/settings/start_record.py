"""Starts that never finished are counted in the data folder: the reason for safe mode."""

from __future__ import annotations

import json
import logging

from modules.settings import atomic
from modules.settings.paths import Paths

log = logging.getLogger("easel.settings")

ENOUGH = 2
"""So many unfinished starts in a row make the next one a safe one."""


class StartRecord:
    """A small file that is there while a start is under way. Only the folder's owner may use it."""

    def __init__(self, paths: Paths) -> None:
        self._path = paths.data / "unfinished-starts.json"
        self.failed = 0
        """How many starts in a row had not finished when this one began."""

    @property
    def safe(self) -> bool:
        """Whether this start should do without whatever may have broken the ones before."""
        return self.failed >= ENOUGH

    def begin(self) -> None:
        """A start begins. Where the folder cannot be written nothing is counted."""
        self.failed = self._read()
        try:
            atomic.write_json(self._path, {"starts": self.failed + 1})
        except OSError as error:
            log.warning("starts cannot be counted: %s", error)

    def finished(self) -> None:
        """The program takes requests, or has been ended in good order."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be removed: %s", self._path.name, error)

    def _read(self) -> int:
        try:
            count = json.loads(self._path.read_text(encoding="utf-8"))["starts"]
        except FileNotFoundError:
            return 0
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return 1  # a start that died while it wrote
        return max(count, 1) if isinstance(count, int) else 1
