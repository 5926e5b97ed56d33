"""How far a job is that works through files: counted in bytes, told in megabytes."""

from __future__ import annotations

import time
from collections.abc import Callable

from modules.engine.generation.control import JobControl
from modules.requests.events import Event, Step

MEGABYTE = 1_000_000
INTERVAL = 0.2
"""Seconds between two messages."""

Emit = Callable[[Event], None]


class ByteProgress:
    """Tells how many megabytes are done, and stops when the job shall end."""

    def __init__(self, job: str, control: JobControl, emit: Emit) -> None:
        self._job = job
        self._control = control
        self._emit = emit
        self._done = 0
        self._total = 0
        self._due = 0.0

    def expect(self, size: int) -> None:
        """So many bytes more are to be done."""
        self._total += size

    def advance(self, size: int) -> None:
        """So many bytes are done.

        Raises:
            StopSampling: the job shall end.
        """
        self._control.check()
        self._done += size
        now = time.monotonic()
        if now >= self._due or self._done >= self._total:
            self._due = now + INTERVAL
            self.tell()

    def tell(self) -> None:
        """Say how far it is."""
        steps = max(1, round(self._total / MEGABYTE))
        done = min(steps, round(self._done / MEGABYTE))
        self._emit(Step(self._job, iteration=0, n_iter=1, step=done, steps=steps))
