"""The sha256 of a checkpoint and its VAE, computed while their weights are read."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from modules.catalog.checkpoints import CheckpointInfo, content_hash, inspect
from modules.catalog.hashes import HashCache, HashingStopped
from modules.catalog.scan import Found

logger = logging.getLogger("easel.engine")

PATIENCE = 0.1
"""Seconds between two looks at whether someone wants to stop."""


class Hashing:
    """A thread that hashes; known hashes cost nothing."""

    def __init__(self, info: CheckpointInfo, vae: Path | None, hashes: HashCache) -> None:
        self._stop = threading.Event()
        self._results = ["", ""]

        def work() -> None:
            try:
                self._results[0] = content_hash(info, hashes, self._stop.is_set)
                if vae is not None and vae.is_file():
                    self._results[1] = hashes.sha256(vae, self._stop.is_set)
            except (OSError, HashingStopped) as error:
                logger.debug("no hash: %s", error)

        self._thread = threading.Thread(target=work, name="easel-hash", daemon=True)
        self._thread.start()

    def results(self, tick: Callable[[], None] | None = None) -> tuple[str, str]:
        """Wait for both hashes; empty where a file could not be read.

        Raises:
            Exception: what `tick` raised; it is called while waiting.
        """
        while self._thread.is_alive():
            self._thread.join(PATIENCE)
            if tick is not None:
                tick()
        return self._results[0], self._results[1]

    def stop(self) -> None:
        """Give up within moments."""
        self._stop.set()
        self._thread.join()


def checkpoint_info(path: Path, roots: tuple[Path, ...]) -> CheckpointInfo:
    """The catalog's view of a checkpoint, named below the folder that it lies in."""
    root = next((root for root in roots if path.is_relative_to(root)), path.parent)
    return inspect(Found(path, root, "folder" if path.is_dir() else "file"))
