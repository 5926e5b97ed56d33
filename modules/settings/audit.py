"""The audit log: one JSON line for each thing that somebody may later want to know about.

Starts and their flags, logins that failed, extensions installed or switched, files removed. It
never holds a prompt, a password or a token. Only ever appended to; at 8 MB a new file is begun and
one old one kept.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

log = logging.getLogger("easel")

MOST_BYTES = 8 * 1024 * 1024
LONGEST = 500
"""Characters of one value."""


class AuditLog:
    """Appends to one file; failing to write is told in the log and never stops the work."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def note(self, event: str, **facts: Any) -> None:
        """Write one line: when, what, and plain facts."""
        kept = {name: _short(value) for name, value in facts.items()}
        entry = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **kept}
        line = json.dumps(entry, ensure_ascii=True, allow_nan=False) + "\n"
        try:
            with self._lock:
                self._append(line.encode("ascii"))
        except OSError as error:
            log.warning("the audit log cannot be written: %s", error)

    def _append(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.fstat(handle).st_size + len(line) > MOST_BYTES:
                os.close(handle)
                os.replace(self.path, self.path.with_name(self.path.name + ".1"))
                handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(handle, line)
        finally:
            os.close(handle)


def _short(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, (list, tuple)):
        return [_short(one) for one in value[:100]]
    return str(value)[:LONGEST]
