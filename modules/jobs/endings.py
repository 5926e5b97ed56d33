"""How jobs end: stored, told to everyone who waits, or put back after the engine died."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from modules.jobs.fanout import Fanout, Subscription
from modules.jobs.leftovers import remove_leftovers
from modules.jobs.paused_states import FOLDER, PausedStates
from modules.jobs.records import DONE, FAILED, FINISHED, PARKED, PAUSED, QUEUED, JobRecord
from modules.jobs.results import ResultKeeper
from modules.jobs.run import Ending, JobRun
from modules.jobs.storage import StorageWatch
from modules.jobs.store import JobStore
from modules.jobs.unsaved import lost_from_memory
from modules.jobs.view import QueueView
from modules.jobs.waiters import Waiters
from modules.jobs.worker import Worker

log = logging.getLogger("easel.jobs")

MAX_ATTEMPTS = 2
"""A job that the engine worked on when it or the program died this often is parked."""
NOT_STORED = "How the job ended could not be stored; is the disk full? The log has the details."
CRASHES = "crashes"
"""The flag that counts how often in a row the program died while a job ran."""


class JobEndings(QueueView, ABC):
    """The part of the job service that closes jobs and spreads the news."""

    _worker: Worker
    storage: StorageWatch
    keeper: ResultKeeper

    def __init__(self, store: JobStore) -> None:
        super().__init__(store)
        self.fanout = Fanout()
        self.crashes = 0
        self._counted = False
        self._lock = threading.RLock()
        self._waiters = Waiters(self.record)
        self.states = PausedStates(store.path.parent / FOLDER)

    def subscribe(self, wake: Callable[[], None]) -> Subscription:
        """A mailbox for everything that happens; ``wake()`` is called on any thread."""
        return self.fanout.subscribe(wake)

    def wait(self, job_id: str, timeout: float | None = None) -> JobRecord:
        """Block until a job is finished.

        Raises:
            UnknownJob: there is none with this id.
            TimeoutError: it is not finished in time.
        """
        return self._waiters.wait(job_id, timeout)

    def when_finished(self, job_id: str, callback: Callable[[JobRecord], None]) -> None:
        """Call ``callback(record)`` once, on any thread, when the job is finished (or already is).

        Raises:
            UnknownJob: there is none with this id.
        """
        self._waiters.when_finished(job_id, callback)

    def _recover(self) -> None:
        """Jobs that ran when the program ended wait again, or are parked after two times."""
        if not self._counted:  # once, also where a full disk makes this the second try
            self.crashes = self._count_crash()
            self._counted = True
        current = self._current.record.id if self._current is not None else None
        for record in reversed(self.store.running()):
            if record.id == current:
                continue  # what the last run left is taken up late, after a full disk
            if record.attempts >= MAX_ATTEMPTS:
                self._finish_row(
                    record.id,
                    PARKED,
                    f"It was running {record.attempts} times when the program or the engine died, "
                    "so it was set aside. Press Retry to try again.",
                )
            else:
                log.info("job %s was running when the program ended; it waits again", record.id)
                self._requeue_first(record)

        for image in lost_from_memory(self.store):
            if self.keeper.in_memory(image.id) is not None:
                continue
            log.info("job %s is run again: its pictures were in memory alone", image.job)
            self.store.update(image.job, state=QUEUED, attempts=0, finished=None, error=None)
            self.store.forget_image(image.id)

    def _count_crash(self) -> int:
        """How often in a row the program died while a job ran."""
        before = self.store.get_flag(CRASHES) or "0"
        crashes = int(before) + 1 if self.store.running() else 0
        if str(crashes) != before:
            self.store.set_flag(CRASHES, str(crashes))
        return crashes

    def _end(self, run: JobRun, ending: Ending) -> None:
        """Close a job that ran; when even that fails, those who wait hear of it all the same."""
        record = run.record
        try:
            self._settle(run, ending)
        except Exception as error:
            log.exception("job %s: its ending could not be stored", record.id)
            self.storage.report(error)
            lost = replace(self._as_it_is(record), finished=time.time())
            if ending.state in FINISHED and isinstance(error, sqlite3.OperationalError):
                lost = replace(
                    lost,
                    state=ending.state,
                    error=ending.message,
                    facts=ending.facts,
                    timings=ending.timings,
                )
            else:
                lost = replace(lost, state=FAILED, error=NOT_STORED)
            self._unstored[record.id] = lost
            self._tell_finished(lost)

    def _as_it_is(self, record: JobRecord) -> JobRecord:
        """The record with its pictures, as far as it can be read."""
        try:
            return self.store.get(record.id)
        except Exception:
            log.exception("job %s cannot be read", record.id)
            return record

    def _settle(self, run: JobRun, ending: Ending) -> None:
        job_id = run.record.id
        if ending.state == PAUSED:
            self._put_aside(run, ending)
            return
        if ending.state == QUEUED:
            self._after_crash(self.store.get(job_id), ending.message, run)
            return
        self._finish_row(
            job_id, ending.state, ending.message, facts=ending.facts, timings=ending.timings
        )

    @abstractmethod
    def _put_aside(self, run: JobRun, ending: Ending) -> None:
        """A run has been paused."""

    def _store_endings(self) -> None:
        """Write what could not be written when the jobs ended."""
        for record in list(self._unstored.values()):
            self.store.update(
                record.id,
                state=record.state,
                finished=record.finished,
                error=record.error,
                facts=record.facts,
                timings=record.timings,
            )
            del self._unstored[record.id]

    def _after_crash(self, record: JobRecord, message: str | None, run: JobRun) -> None:
        if run.closing or not run.begun:
            self.store.update(record.id, attempts=run.record.attempts)
            self._requeue_first(self.store.get(record.id))
            return
        if record.attempts >= MAX_ATTEMPTS:
            text = f"It ended the engine {record.attempts} times, so it was set aside: {message}"
            self._finish_row(record.id, PARKED, text)
            return
        self._requeue_first(record)
        self.fanout.publish(
            {"type": "warning", "job": record.id, "message": f"{message} The job is tried again."}
        )
        self._worker.nudge()

    def _requeue_first(self, record: JobRecord) -> None:
        with self._lock:
            first = self.store.edge_positions()[0]
            self.store.update(
                record.id,
                state=QUEUED,
                position=min(first - 1, record.position),
                started=None,
            )
        self._announce(self.store.get(record.id))

    def _finish_row(
        self,
        job_id: str,
        state: str,
        error: str | None,
        facts: dict[str, Any] | None = None,
        timings: dict[str, float] | None = None,
    ) -> None:
        self.store.update(
            job_id,
            state=state,
            finished=time.time(),
            error=error,
            facts=facts or {},
            timings=timings or {},
        )
        record = self.store.get(job_id)
        if state == DONE and self.crashes:
            self.crashes = 0
            self.store.set_flag(CRASHES, "0")
        remove_leftovers(record)
        self.states.forget(job_id)
        self._tell_finished(record)

    def _tell_finished(self, record: JobRecord) -> None:
        self._waiters.tell(record, self._announce)

    def _announce(self, record: JobRecord) -> None:
        if self.fanout.count:
            self.fanout.publish({"type": "job", "job": self.describe(record)})
        self._announce_queue()

    def _announce_queue(self) -> None:
        if self.fanout.count:
            self.fanout.publish(
                {
                    "type": "queue",
                    "paused": self._paused,
                    "held": self.storage.to_json(),
                    "jobs": self.briefs(),
                    "aside": self.paused_briefs(),
                }
            )
