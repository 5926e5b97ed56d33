"""The sha256 of a checkpoint and its VAE, computed while their weights are read."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from modules.catalog.checkpoints import CheckpointInfo, content_hash, inspect
from modules.catalog.hashes import BLOCK, HashCache, HashingStopped
from modules.catalog.scan import Found
from modules.engine.checkpoints.components import Progress

logger = logging.getLogger("easel.engine")

PATIENCE = 0.1
"""Seconds between two looks at whether someone wants to stop."""


class Hashing:
    """A thread that hashes; known hashes cost nothing."""

    def __init__(self, info: CheckpointInfo, vae: Path | None, hashes: HashCache) -> None:
        self._stop = threading.Event()
        self._results = ["", ""]
        self._done = 0
        self._total = sum(_size(file) for file in (*info.hash_files, vae) if _new(file, hashes))

        def stops() -> bool:
            self._done += BLOCK
            return self._stop.is_set()

        def work() -> None:
            try:
                self._results[0] = content_hash(info, hashes, stops)
                if vae is not None and vae.is_file():
                    self._results[1] = hashes.sha256(vae, stops)
            except (OSError, HashingStopped) as error:
                logger.debug("no hash: %s", error)

        self._thread = threading.Thread(target=work, name="easel-hash", daemon=True)
        self._thread.start()

    def share(self, progress: Progress) -> Progress:
        """The progress of reading, when hashing has its part in the whole: it takes as long."""
        if not self._total:
            return progress
        return lambda fraction: progress((fraction + self._fraction) / 2)

    @property
    def _fraction(self) -> float:
        return min(1.0, self._done / self._total)

    def results(
        self, progress: Progress, tick: Callable[[], None] | None = None
    ) -> tuple[str, str]:
        """Wait for both hashes; empty where a file could not be read.

        Raises:
            Exception: what `tick` raised; it is called while waiting.
        """
        tell = self.share(progress)
        while self._thread.is_alive():
            self._thread.join(PATIENCE)
            tell(1.0)
            if tick is not None:
                tick()
        return self._results[0], self._results[1]

    def stop(self) -> None:
        """Give up within moments."""
        self._stop.set()
        self._thread.join()


def _new(file: Path | None, hashes: HashCache) -> bool:
    return file is not None and hashes.known(file) is None


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def checkpoint_info(path: Path, roots: tuple[Path, ...]) -> CheckpointInfo:
    """The catalog's view of a checkpoint, named below the folder that it lies in."""
    root = next((root for root in roots if path.is_relative_to(root)), path.parent)
    return inspect(Found(path, root, "folder" if path.is_dir() else "file"))
