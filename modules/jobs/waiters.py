"""Those who wait for the end of a job, blocked or with a callback."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from modules.jobs.records import JobRecord

log = logging.getLogger("easel.jobs")

Listener = Callable[[JobRecord], None]


class Waiters:
    """Tells each of them once when a job is over."""

    def __init__(self, record: Callable[[str], JobRecord]) -> None:
        """``record(job_id)`` looks a job up; it raises ``UnknownJob``."""
        self._record = record
        self._finished = threading.Condition()
        self._callbacks: dict[str, list[Listener]] = {}

    def wait(self, job_id: str, timeout: float | None = None) -> JobRecord:
        """Block until a job is finished.

        Raises:
            UnknownJob: there is none with this id.
            TimeoutError: it is not finished in time.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._finished:
            while True:
                record = self._record(job_id)
                if record.finished_state:
                    return record
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError(f"job {job_id} is not finished after {timeout:g} s")
                self._finished.wait(1.0 if left is None else min(left, 1.0))

    def when_finished(self, job_id: str, callback: Listener) -> None:
        """Call ``callback(record)`` once, on any thread, when the job is finished (or already is).

        Raises:
            UnknownJob: there is none with this id.
        """
        with self._finished:
            record = self._record(job_id)
            if not record.finished_state:
                self._callbacks.setdefault(job_id, []).append(callback)
                return
        callback(record)

    def tell(self, record: JobRecord, *also: Listener) -> None:
        """The job is over: everyone who waits for it, and ``also``, hears of it."""
        with self._finished:
            callbacks = self._callbacks.pop(record.id, [])
            self._finished.notify_all()
        for listener in (*also, *callbacks):
            try:
                listener(record)
            except Exception:  # one listener must not keep the news from the others
                log.exception("job %s: a listener failed at its end", record.id)
