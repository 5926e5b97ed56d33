"""What engines need to go on with paused jobs: one file per job, beside the queue's database."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
from collections.abc import Iterable
from pathlib import Path

from modules.settings import atomic

log = logging.getLogger("easel.jobs")

FOLDER = "paused"
ENDING = ".state"
MAX_BYTES = 4 * 1024**3
"""Of all states together; the oldest go first, and their jobs begin again when they go on."""


class PausedStates:
    """Keeps the engine's state of each paused job. What is in it, only engines know."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self.folder = folder
        self._max_bytes = max_bytes

    def put(self, job_id: str, data: bytes) -> None:
        """Keep a state; it replaces the job's former one and survives a power cut.

        Raises:
            OSError: it cannot be written, or is larger than all states may be together.
        """
        if len(data) > self._max_bytes:
            raise OSError(f"the state takes {len(data)} bytes; allowed: {self._max_bytes}")
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(self._path(job_id), data)
        self._make_room()

    def find(self, job_id: str) -> Path | None:
        """The file of a job's state, if there is one."""
        path = self._path(job_id)
        return path if path.is_file() else None

    def forget(self, job_id: str) -> None:
        """The job is over, or begins again."""
        with contextlib.suppress(OSError):
            self._path(job_id).unlink(missing_ok=True)

    def tidy(self, job_ids: Iterable[str]) -> None:
        """Keep only the states of these jobs, and nothing half-written."""
        wanted = {self._path(job_id).name for job_id in job_ids}
        for path in self.folder.glob("*"):
            ours = re.fullmatch(rf"[0-9a-f]{{64}}{re.escape(ENDING)}", path.name)
            half = path.name.startswith(".") and path.name.endswith(".tmp")
            if half or (ours and path.name not in wanted):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _path(self, job_id: str) -> Path:
        # Ids come from clients; a digest is a safe name on every system.
        return self.folder / (hashlib.sha256(job_id.encode()).hexdigest() + ENDING)

    def _make_room(self) -> None:
        files = []
        for path in self.folder.glob(f"*{ENDING}"):
            with contextlib.suppress(OSError):
                status = path.stat()
                files.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files, key=lambda entry: entry[0]):
            if total <= self._max_bytes:
                return
            log.warning("the oldest paused job loses its state: all of them take %d bytes", total)
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size
