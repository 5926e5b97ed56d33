"""Files that a killed program left in an output folder: pictures without a record, half files."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from modules.settings import atomic

SWEEP_SECONDS = 600.0
"""Between two looks at one folder for half files."""

Adopt = Callable[[Path], bool]
"""Whether a file of the same bytes may be taken as this picture's: nobody else's record names it.
"""

_swept: dict[str, float] = {}
_lock = threading.Lock()


def find_orphan(folder: Path, data: bytes, extension: str, adopt: Adopt) -> Path | None:
    """A file with exactly these bytes that no record names, as a kill just after saving leaves."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.endswith(f".{extension}") or entry.name.startswith("."):
                continue
            if not entry.is_file(follow_symlinks=False) or entry.stat().st_size != len(data):
                continue
            path = folder / entry.name
            if path.read_bytes() == data and adopt(path):
                return path
    return None


def sweep(folder: Path) -> None:
    """Now and then: delete the half files of writers that were killed."""
    now = time.monotonic()
    with _lock:
        due = now - _swept.get(str(folder), -SWEEP_SECONDS) >= SWEEP_SECONDS
        if due:
            _swept[str(folder)] = now
    if due:
        atomic.remove_stale(folder)
