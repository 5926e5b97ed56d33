"""The log of refusals: one printable line each, and no more than the disk can take."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger("easel.gate")

WINDOW = 10.0
MOST_LINES = 20


@dataclass
class RefusalLog:
    """Writes the first refusals of every ten seconds and counts the others."""

    now: Callable[[], float] = time.monotonic
    _begun: float = float("-inf")
    _count: int = 0

    def add(self, path: str, status: int, detail: str) -> None:
        """Note one refusal; what the client sent is shown as printable text alone."""
        now = self.now()
        if now - self._begun >= WINDOW:
            left_out = self._count - MOST_LINES
            if left_out > 0:
                log.warning("and %d more requests were refused", left_out)
            self._begun, self._count = now, 0
        self._count += 1
        if self._count <= MOST_LINES:
            log.warning("refused %s: %s (%d)", printable(path)[:200], printable(detail), status)


def printable(text: str) -> str:
    """One line without control characters."""
    plain = text.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(c if c.isprintable() else "?" for c in plain)
