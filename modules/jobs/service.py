"""``JobService``: the queue that the page, the API and the command line share."""

from __future__ import annotations

import logging
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from modules.jobs.backends.base import Backend
from modules.jobs.engine_watch import READY, RESTARTING, STARTING, STOPPED, EngineWatch
from modules.jobs.fanout import Fanout, Subscription
from modules.jobs.inputs import InputStore, StoredInput
from modules.jobs.models import ModelControl
from modules.jobs.prepare import Preparer
from modules.jobs.progress import ProgressMeter
from modules.jobs.records import (
    CANCELLED,
    FAILED,
    FINISHED,
    PARKED,
    QUEUED,
    RUNNING,
    JobRecord,
    QueueFull,
    UnknownJob,
)
from modules.jobs.results import ResultKeeper
from modules.jobs.run import UNEXPECTED, Ending, JobRun
from modules.jobs.schedule import LOOK_AHEAD, choose_next
from modules.jobs.store import JobStore
from modules.jobs.view import QueueView
from modules.jobs.worker import Worker
from modules.requests import events
from modules.requests.errors import RequestError
from modules.requests.generation import GenerationRequest
from modules.requests.prepared import PreparedJob
from modules.settings.store import OptionStore

log = logging.getLogger("easel.jobs")

MAX_ATTEMPTS = 2
"""A job that the engine worked on when it or the program died this often is parked."""
KEPT_JOBS = 2000
"""Finished jobs whose records are kept over a start; pictures carry their own parameters."""
NOT_STORED = "How the job ended could not be stored; is the disk full? The log has the details."
TASK_ID = re.compile(r"[A-Za-z0-9()_.\-]{1,100}")


@dataclass(frozen=True)
class QueueLimits:
    """How many jobs may wait."""

    total: int = 200
    per_client: int = 50

    @classmethod
    def from_options(cls, options: OptionStore) -> QueueLimits:
        """The limits that the settings ask for."""
        return cls(int(options["max_queued_jobs"]), int(options["max_queued_jobs_per_client"]))


class JobService(QueueView):
    """Accepts jobs, keeps them over restarts, feeds the engine, and tells everyone what happens.

    All methods may be called from any thread and return quickly, except ``wait``.
    """

    def __init__(
        self,
        store: JobStore,
        preparer: Preparer,
        backend: Backend,
        keeper: ResultKeeper,
        limits: QueueLimits | None = None,
    ) -> None:
        super().__init__(store)
        self.preparer = preparer
        self.backend = backend
        self.keeper = keeper
        self._fixed_limits = limits
        self.fanout = Fanout()
        self.engine = EngineWatch(self.fanout.publish)
        self.models = ModelControl(backend, preparer, self.engine)
        self._lock = threading.RLock()
        self._finished = threading.Condition()
        self._callbacks: dict[str, list[Callable[[JobRecord], None]]] = {}
        self._overtaken: dict[str, int] = {}
        self._unstored: dict[str, JobRecord] = {}
        """Finished jobs whose ending is not in the store yet (a full disk)."""
        self._worker = Worker(self._take_next, self._run)
        self._unsubscribe: Callable[[], None] | None = None
        self._stopped = False

    # ---- life

    def start(self, load_first: bool = True) -> None:
        """Start the engine in the background, take up what the last run left, begin working."""
        self._unsubscribe = self.backend.subscribe(self._on_engine_event)
        with suppress(sqlite3.OperationalError):  # a full disk; the next start tries again
            self.store.forget_finished(KEPT_JOBS)
        self._recover()
        self.backend.start()
        self._worker.start()
        if load_first and not self.store.count(QUEUED):
            self._worker.between_jobs(self.models.load_chosen)
        self._worker.nudge()

    def stop(self, timeout: float = 8.0) -> None:
        """End the engine; a job that runs goes back to the queue as if it had not been started."""
        if self._stopped:
            return
        self._stopped = True
        with self._lock:
            current = self._current
            if current is not None:
                current.closing = True
        if current is not None:
            self.backend.interrupt(current.record.id, "interrupt")
        self._worker.stop(timeout if current is None else min(timeout, 3.0))
        self.engine.set_state(STOPPED, "The program is ending.")
        self.backend.stop()
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._worker.stop(timeout)
        self.keeper.close()
        self.store.close()

    def _recover(self) -> None:
        """Jobs that ran when the program ended wait again, or are parked after two times."""
        for record in reversed(self.store.running()):
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

    # ---- submitting

    @property
    def limits(self) -> QueueLimits:
        """How many jobs may wait now: the settings, unless the service was built with limits."""
        return self._fixed_limits or QueueLimits.from_options(self.preparer.options)

    def submit(
        self,
        request: GenerationRequest,
        client: str = "ui",
        task_id: str | None = None,
        save: bool = True,
    ) -> str:
        """Settle a request and put it into the queue; it survives a crash once this returns.

        Raises:
            RequestError: the request cannot be done.
            QueueFull: too many jobs are waiting.
        """
        job_id = self._new_id(task_id)
        with self._lock:
            self._check_room(client)
        prepared = self.preparer.prepare(request, job_id, client)
        with self._lock:
            self._check_room(client)
            try:
                record = self.store.add(prepared.to_json(), save=save)
            except ValueError:
                raise RequestError("task_id", job_id, "this id is taken; choose another.") from None
        for message in prepared.warnings:
            self.fanout.publish({"type": "warning", "job": job_id, "message": message})
        self._announce(record)
        self._worker.nudge()
        return job_id

    @property
    def inputs(self) -> InputStore:
        """The input pictures of all jobs."""
        return self.preparer.inputs

    def keep_input(self, data: bytes, field: str = "image") -> StoredInput:
        """Check and keep a picture for jobs to come.

        Raises:
            RequestError: it is no picture, damaged, or larger than the settings allow.
        """
        return self.inputs.put(data, field, self.preparer.limits.input_megapixels)

    def _new_id(self, task_id: str | None) -> str:
        if not task_id:
            return secrets.token_hex(8)
        if not TASK_ID.fullmatch(task_id):
            raise RequestError(
                "task_id", task_id, "allowed: 1 to 100 letters, digits and any of ( ) _ . -"
            )
        if self.store.exists(task_id):
            raise RequestError("task_id", task_id, "this id is taken; choose another.")
        return task_id

    def _check_room(self, client: str) -> None:
        waiting = self.store.count(QUEUED)
        retry = int(min(600, max(5, self._seconds_until_room() or 10)))
        if waiting >= self.limits.total:
            raise QueueFull(f"The queue is full ({waiting} jobs wait). Try again later.", retry)
        mine = self.store.count(QUEUED, client)
        if mine >= self.limits.per_client:
            raise QueueFull(
                f"{mine} of your jobs wait already; allowed: {self.limits.per_client}.", retry
            )

    def _seconds_until_room(self) -> float | None:
        current = self._current
        return current.meter.snapshot().eta if current is not None else None

    # ---- waiting

    def subscribe(self, wake: Callable[[], None]) -> Subscription:
        """A mailbox for everything that happens; ``wake()`` is called on any thread."""
        return self.fanout.subscribe(wake)

    def wait(self, job_id: str, timeout: float | None = None) -> JobRecord:
        """Block until a job is finished.

        Raises:
            UnknownJob: there is none with this id.
            TimeoutError: it is not finished in time.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._finished:
            while True:
                record = self.record(job_id)
                if record.finished_state:
                    return record
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError(f"job {job_id} is not finished after {timeout:g} s")
                self._finished.wait(1.0 if left is None else min(left, 1.0))

    def when_finished(self, job_id: str, callback: Callable[[JobRecord], None]) -> None:
        """Call ``callback(record)`` once, on any thread, when the job is finished (or already is).

        Raises:
            UnknownJob: there is none with this id.
        """
        with self._finished:
            record = self.record(job_id)
            if not record.finished_state:
                self._callbacks.setdefault(job_id, []).append(callback)
                return
        callback(record)

    # ---- acting

    def interrupt(self, job_id: str | None = None, mode: str = "interrupt") -> bool:
        """Stop the running job soon; pictures that are done stay. False when it does not run.

        ``mode``: ``interrupt`` within one step, ``skip`` the current batch, ``stop_after_current``
        after the current batch.
        """
        run = self._current
        if run is None or job_id not in (None, run.record.id):
            return False
        run.ask_to_stop(mode)
        return True

    def skip(self, job_id: str | None = None) -> bool:
        """End the current batch of the running job and go on with the next."""
        return self.interrupt(job_id, "skip")

    def cancel(self, job_id: str) -> bool:
        """Take a waiting job out, or interrupt it when it runs. False when it is finished.

        Raises:
            UnknownJob: there is none with this id.
        """
        with self._lock:
            record = self.store.get(job_id)
            if record.state == QUEUED:
                self._finish_row(job_id, CANCELLED, None)
                return True
        return record.state == RUNNING and self.interrupt(job_id)

    def move(self, job_id: str, to: str) -> int:
        """Move a waiting job ``up``, ``down``, to the ``top`` or ``bottom``; returns its new place.

        Raises:
            UnknownJob: no waiting job has this id.
            RequestError: ``to`` is none of the four.
        """
        with self._lock:
            ids = self.store.waiting_ids()
            if job_id not in ids:
                raise UnknownJob(job_id)
            place = ids.index(job_id)
            targets = {"up": place - 1, "down": place + 1, "top": 0, "bottom": len(ids) - 1}
            if to not in targets:
                raise RequestError("to", to, f"allowed: {', '.join(targets)}.")
            target = min(max(targets[to], 0), len(ids) - 1)
            ids.insert(target, ids.pop(place))
            self.store.reorder(ids)
            # What the user put first is not overtaken by jobs of the loaded checkpoint.
            self._overtaken.update(dict.fromkeys(ids[: target + 1], 1_000_000))
        self._announce_queue()
        return target + 1

    def move_up(self, job_id: str) -> int:
        """One place towards the front."""
        return self.move(job_id, "up")

    def retry(self, job_id: str) -> JobRecord:
        """Put a finished job that gave no full result back at the end of the queue.

        Raises:
            UnknownJob: there is none with this id.
            RequestError: it is waiting, running or done.
        """
        with self._lock:
            record = self.store.get(job_id)
            if record.state not in FINISHED or record.state == "done":
                raise RequestError(
                    "id",
                    job_id,
                    f"the job is {record.state}; only an unfinished one can be retried.",
                )
            self._check_room(record.client)
            self.store.update(
                job_id,
                state=QUEUED,
                position=self.store.edge_positions()[1] + 1,
                attempts=0,
                error=None,
                started=None,
                finished=None,
            )
            record = self.store.get(job_id)
        self._announce(record)
        self._worker.nudge()
        return record

    def pause_all(self) -> None:
        """Start nothing new; the running job goes on to its end. Kept over restarts."""
        self._set_paused(True)

    def resume_all(self) -> None:
        """Go on after a pause."""
        self._set_paused(False)
        self._worker.nudge()

    def _set_paused(self, paused: bool) -> None:
        self.store.set_flag("paused", "yes" if paused else "no")
        self._paused = paused
        self._announce_queue()

    def clear_finished(self) -> int:
        """Empty the list of finished jobs; pictures stay. Returns how many."""
        removed = self.store.hide_finished()
        self._announce_queue()
        return removed

    def between_jobs(self, task: Callable[[], Any]) -> Future[Any]:
        """Do something with the engine when no job runs, before the next one."""
        return self._worker.between_jobs(task)

    # ---- the worker's side

    def _take_next(self) -> JobRecord | None:
        with self._lock:
            self._store_endings()
            if self._paused or self._worker.stopping:
                return None
            waiting = self.store.waiting(LOOK_AHEAD)
            job = choose_next(waiting, self.engine.loaded.path, self._overtaken)
            if job is None:
                return None
            for passed in waiting:
                if passed.id == job.id:
                    break
                self._overtaken[passed.id] = self._overtaken.get(passed.id, 0) + 1
            self._overtaken.pop(job.id, None)
            self.store.update(job.id, state=RUNNING, started=time.time(), error=None)
            record = self.store.get(job.id)
            meter = ProgressMeter(record, self.pace)
            self._current = JobRun(
                record, meter, self.keeper, self.store, self.fanout, self.backend
            )
        self._announce(record)
        return record

    def _run(self, record: JobRecord) -> None:
        """Run the job that was taken; whatever happens, it ends and those who wait hear of it."""
        run = self._current
        assert run is not None
        try:
            ending = self._carried_out(run)
        except Exception:
            log.exception("job %s: an unexpected error", record.id)
            ending = Ending(FAILED, UNEXPECTED, {"failure": "internal"})
        finally:
            self.models.expect(None)
            with self._lock:
                self._current = None
        try:
            self._settle(run, ending)
        except Exception:
            log.exception("job %s: its ending could not be stored", record.id)
            lost = replace(record, state=FAILED, finished=time.time(), error=NOT_STORED)
            self._unstored[record.id] = lost
            self._tell_finished(lost)

    def _carried_out(self, run: JobRun) -> Ending:
        prepared = PreparedJob.from_json(run.record.prepared)
        self.models.expect(prepared.checkpoint)
        return run.carry_out(prepared)

    def _settle(self, run: JobRun, ending: Ending) -> None:
        job_id = run.record.id
        if ending.state == QUEUED:
            self._after_crash(self.store.get(job_id), ending.message, run)
            return
        self._finish_row(
            job_id, ending.state, ending.message, facts=ending.facts, timings=ending.timings
        )

    def _store_endings(self) -> None:
        """Write what could not be written when the jobs ended."""
        for record in list(self._unstored.values()):
            self.store.update(
                record.id, state=record.state, finished=record.finished, error=record.error
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
        self._tell_finished(self.store.get(job_id))

    def _tell_finished(self, record: JobRecord) -> None:
        with self._finished:
            callbacks = self._callbacks.pop(record.id, [])
            self._finished.notify_all()
        for tell in (self._announce, *callbacks):
            try:
                tell(record)
            except Exception:  # one listener must not keep the news from the others
                log.exception("job %s: a listener failed at its end", record.id)

    # ---- news

    def _announce(self, record: JobRecord) -> None:
        if self.fanout.count:
            self.fanout.publish({"type": "job", "job": self.describe(record)})
        self._announce_queue()

    def _announce_queue(self) -> None:
        if self.fanout.count:
            self.fanout.publish({"type": "queue", "paused": self._paused, "jobs": self.briefs()})

    def _on_engine_event(self, event: events.Event) -> None:
        if isinstance(event, events.Heartbeat):
            self._follow_backend()
            return
        self.engine.take(event, self.models.expected_path)
        self._follow_backend()
        if isinstance(event, events.Hello) and event.device:
            self._load_after_restart()

    def _load_after_restart(self) -> None:
        """A new engine has no model: load it, unless loading is what killed the last one."""
        if self.backend.status.restarts and not self.busy and self.models.may_try_again():
            self._worker.between_jobs(self.models.load_chosen)

    def _follow_backend(self) -> None:
        status = self.backend.status
        words = {
            STARTING: "The engine is starting.",
            RESTARTING: f"The engine is being restarted. {status.last_error}".strip(),
            STOPPED: status.last_error or "The engine is stopped.",
        }
        self.engine.set_state(status.state, words.get(status.state, ""))

    @property
    def ready(self) -> bool:
        """A model is loaded and the engine takes jobs."""
        return bool(self.backend.status.ready) or (
            self.engine.loaded.state == "ready" and self.engine.state in (READY, "busy")
        )
