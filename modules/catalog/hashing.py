"""The sha256 of many files, one after another in the background, because a person asked for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from modules.catalog.hashes import HashCache, HashingStopped

log = logging.getLogger("easel.catalog")


@dataclass(frozen=True)
class HashingProgress:
    """How far the work is."""

    running: bool = False
    done: int = 0
    total: int = 0
    file: str = ""
    """The name of the file that is being read."""


class BackgroundHasher:
    """Reads files one at a time; what was read stays on record when it is stopped."""

    def __init__(self, hashes: HashCache) -> None:
        self._hashes = hashes
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None
        self._progress = HashingProgress()

    @property
    def progress(self) -> HashingProgress:
        """How far the work is."""
        return self._progress

    def start(self, files: Iterable[Path], told: Callable[[], None] = lambda: None) -> bool:
        """Begin, unless it is at work already; `told` is called after each file."""
        with self._lock:
            if self._worker is not None and self._worker.is_alive():
                return False
            missing = [file for file in files if self._hashes.known(file) is None]
            self._stop.clear()
            self._progress = HashingProgress(bool(missing), 0, len(missing))
            self._worker = threading.Thread(
                target=self._run, args=(missing, told), name="easel-ledger", daemon=True
            )
            self._worker.start()
            return True

    def stop(self) -> None:
        """End within moments."""
        self._stop.set()
        if self._worker is not None:
            self._worker.join(timeout=5)

    def _run(self, files: list[Path], told: Callable[[], None]) -> None:
        for number, file in enumerate(files):
            self._progress = HashingProgress(True, number, len(files), file.name)
            try:
                self._hashes.sha256(file, self._stop.is_set)
            except HashingStopped:
                break
            except OSError as error:
                log.warning("%s was not hashed: %s", file.name, error)
            told()
        done = self._progress.done if self._stop.is_set() else len(files)
        self._progress = HashingProgress(False, done, len(files))
        told()
