"""``JobService``: the queue that the page, the API and the command line share."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from modules.jobs.admission import Admission, QueueLimits, taken
from modules.jobs.backends.base import Backend
from modules.jobs.batch import BatchRequest
from modules.jobs.engine_watch import READY, RESTARTING, STARTING, STOPPED, EngineWatch
from modules.jobs.idle import IdleUnload
from modules.jobs.inputs import InputStore, StoredInput
from modules.jobs.models import ModelControl
from modules.jobs.pausing import MODES, JobPausing
from modules.jobs.planned_run import PlannedRun
from modules.jobs.prepare import JobRequest, Preparer
from modules.jobs.progress import ProgressMeter
from modules.jobs.records import (
    DONE,
    FAILED,
    INTERRUPTED,
    MODEL_KINDS,
    PAINTING,
    QUEUED,
    RUNNING,
    JobRecord,
    what_is_missing,
)
from modules.jobs.results import ResultKeeper
from modules.jobs.run import UNEXPECTED, Ending, JobRun, notes_of
from modules.jobs.schedule import LOOK_AHEAD, choose_next
from modules.jobs.storage import StorageWatch
from modules.jobs.store import JobStore
from modules.jobs.worker import Worker
from modules.requests import events
from modules.requests.errors import RequestError
from modules.requests.prepared import PreparedJob
from modules.settings.notices import NoticeBoard

log = logging.getLogger("easel.jobs")

TIDY_SECONDS = 3600.0
"""Between two looks at the cache folders of a program that runs for long."""
KEPT_JOBS = 2000
"""Finished jobs whose records are kept over a start; pictures carry their own parameters."""


class JobService(JobPausing):
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
        notices: NoticeBoard | None = None,
        holds: bool = True,
    ) -> None:
        super().__init__(store)
        self.preparer = preparer
        self.backend = backend
        self.keeper = keeper
        self._fixed_limits = limits
        self.engine = EngineWatch(self.fanout.publish)
        self.models = ModelControl(backend, preparer, self.engine)
        self.admission = Admission(store, lambda: self.limits, self._seconds_until_room)
        self._worker = Worker(self._take_next, self._run)
        self._idle = IdleUnload(
            minutes=lambda: float(preparer.options.get("model_idle_unload_minutes")),
            busy=lambda: self._current is not None or self.engine.model.state == "loading",
            model=lambda: self.engine.loaded.path,
            unload=lambda: self._worker.between_jobs(self.models.unload),
        )
        self.notices = notices or NoticeBoard()
        self.options = preparer.options
        self.storage = StorageWatch(
            keeper.paths.data,
            keeper.output_folders,
            wanted_mb=lambda: int(preparer.options.get("disk_free_mb")),
            recover=self._recover_unwritten,
            changed=self._storage_changed,
            notices=self.notices,
            holds=holds,
        )
        store.troubled = keeper.troubled = self.storage.report
        self._unsubscribe: Callable[[], None] | None = None
        self._stopped = False
        self._recovered = False
        self._tidied = time.monotonic()

    # ---- life

    def start(self, load_first: bool = True) -> None:
        """Start the engine in the background, take up what the last run left, begin working."""
        self._unsubscribe = self.backend.subscribe(self._on_engine_event)
        with suppress(sqlite3.OperationalError):  # a full disk; the next start tries again
            self.store.forget_finished(KEPT_JOBS)
        try:
            self._take_up()
        except sqlite3.OperationalError as error:
            log.warning("what the last run left cannot be taken up yet: %s", error)
            self.storage.report(error)
        self.storage.start()
        self.backend.start()
        self._worker.start()
        self._idle.start()
        if load_first and not self.store.count(QUEUED):
            self._worker.between_jobs(self.models.load_chosen)
        self._worker.nudge()

    def tidy(self) -> None:
        """Delete, in the background, cached results and inputs that nobody needs any more."""
        self._tidied = time.monotonic()
        self.keeper.tidy(lambda: self.inputs.prune(self.store.inputs_in_use()))

    def stop(self, timeout: float = 8.0) -> None:
        """End the engine; a job that runs goes back to the queue.

        The next start goes on from its last step if that ends soon enough, else from its beginning.
        """
        if self._stopped:
            return
        self._stopped = True
        self._idle.stop()
        self.storage.stop()
        with self._lock:
            current = self._current
            if current is not None:
                current.closing = True
        if current is not None:
            painting = current.record.kind in PAINTING
            self.backend.interrupt(current.record.id, MODES["now"] if painting else "interrupt")
        self._worker.stop(timeout if current is None else min(timeout, 3.0))
        self.engine.set_state(STOPPED, "The program is ending.")
        self.backend.stop()
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._worker.stop(timeout)
        self.keeper.close()
        self.store.close()

    def interrupt(self, job_id: str | None = None, mode: str = "interrupt") -> bool:
        """Stop the running job soon, or the loading of a checkpoint when no job runs."""
        if self._current is None and job_id is None and mode == "interrupt":
            return self.models.cancel()
        return super().interrupt(job_id, mode)

    # ---- submitting

    @property
    def limits(self) -> QueueLimits:
        """How many jobs may wait now: the settings, unless the service was built with limits."""
        return self._fixed_limits or QueueLimits.from_options(self.preparer.options)

    def submit(
        self,
        request: JobRequest,
        client: str = "ui",
        task_id: str | None = None,
        save: bool = True,
    ) -> str:
        """Settle a request and put it into the queue; it survives a crash once this returns.

        Raises:
            RequestError: the request cannot be done.
            QueueFull: too many jobs are waiting.
        """
        return self.submit_settled(
            lambda job_id: self.preparer.prepare(request, job_id, client), client, task_id, save
        )

    def submit_settled(
        self,
        settle: Callable[[str], PreparedJob],
        client: str = "ui",
        task_id: str | None = None,
        save: bool = True,
    ) -> str:
        """Put a job into the queue that ``settle`` makes for the id that it is given.

        Raises:
            RequestError: the request cannot be done.
            QueueFull: too many jobs are waiting.
        """
        job_id = self.admission.new_id(task_id)
        with self._lock:
            self.admission.check_room(client)
        prepared = settle(job_id)
        with self._lock:
            self.admission.check_room(client)
            record = self._add(prepared, save)
        if time.monotonic() - self._tidied > TIDY_SECONDS:
            self.tidy()
        self._announce(record)
        self._worker.nudge()
        return job_id

    def submit_batch(
        self, asked: BatchRequest, client: str = "ui"
    ) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        """Queue one job per picture; gives the jobs and what was left out, with reasons.

        A batch counts as one at the queue's door; its size has a limit of its own.

        Raises:
            RequestError: no picture at all, or something that concerns all of them.
            QueueFull: too many jobs are waiting.
        """
        self.admission.check_room(client)
        batch = self.preparer.batch_reader().read(asked)
        jobs: list[dict[str, str]] = []
        refusals: list[RequestError] = []
        for entry in batch.entries:
            job_id = self.admission.new_id(None)
            try:
                prepared = self.preparer.prepare(entry.request, job_id, client)
            except RequestError as error:
                refusals.append(error)
                batch.skip(entry.name, error.sentence)
                continue
            self._add(prepared, save=True)
            jobs.append({"id": job_id, "name": entry.name})
        if refusals and not jobs:
            raise refusals[0]  # it is the request, not the pictures
        self._announce_queue()
        self._worker.nudge()
        return jobs, batch.skipped

    def _add(self, prepared: PreparedJob, save: bool) -> JobRecord:
        try:
            record = self.store.add(prepared.to_json(), save=save)
        except ValueError:
            raise taken(prepared.id) from None
        for message in prepared.warnings:
            self.fanout.publish({"type": "warning", "job": prepared.id, "message": message})
        return record

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

    def _seconds_until_room(self) -> float | None:
        current = self._current
        return current.meter.snapshot().eta if current is not None else None

    def between_jobs(self, task: Callable[[], Any]) -> Future[Any]:
        """Do something with the engine when no job runs, before the next one."""
        return self._worker.between_jobs(task)

    # ---- the worker's side

    def _take_next(self) -> JobRecord | None:
        try:
            record = self._taken()
        except sqlite3.OperationalError as error:
            log.warning("no job can begin: %s", error)
            self.storage.report(error)
            return None
        if record is not None:
            self._announce(record)
        return record

    def _taken(self) -> JobRecord | None:
        with self._lock:
            self._store_endings()
            if self._paused or self._worker.stopping:
                return None
            waiting = self._whole(self.store.waiting(LOOK_AHEAD))
            waiting = [record for record in waiting if self.storage.lets(record.save)]
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
            self._current = self._run_of(record, meter)
        return record

    def _run_of(self, record: JobRecord, meter: ProgressMeter) -> JobRun:
        parts = (record, meter, self.keeper, self.store, self.fanout, self.backend, self.states)
        planner = self.preparer.planner
        if planner is None or not record.prepared.get("plan"):
            return JobRun(*parts)
        settings = self.preparer.options.as_dict
        return PlannedRun(*parts, planner=planner, prepare=self.preparer.prepare, settings=settings)

    def _whole(self, records: list[JobRecord]) -> list[JobRecord]:
        """The jobs that can be run; rows that another version or a damaged disk left fail."""
        whole = []
        for record in records:
            missing = what_is_missing(record)
            if missing:
                sentence = f"The stored job cannot be read: {missing} is missing. Submit it again."
                self._finish_row(record.id, FAILED, sentence, facts={"failure": "internal"})
            else:
                whole.append(record)
        return whole

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
        if ending.state == DONE and record.kind in MODEL_KINDS:
            self._find_new_models()
        self._end(run, ending)

    def _find_new_models(self) -> None:
        """A job has made one: who hears of its end finds it in the lists."""
        try:
            self.preparer.catalog.refresh()
        except Exception:
            log.exception("the model folders could not be searched")
        self.fanout.publish({"type": "catalog"})

    def _carried_out(self, run: JobRun) -> Ending:
        prepared = PreparedJob.from_json(run.record.prepared)
        self.models.expect(prepared.checkpoint)
        return run.carry_out(self._to_go_on(run, prepared))

    # ---- the disk

    def _take_up(self) -> None:
        """What the last run left.

        Raises:
            sqlite3.OperationalError: the disk is full; it is tried again when there is room.
        """
        with self._lock:
            self._recover()
            self._recovered = True
        unfinished = (*self.store.waiting(), *self.store.paused())
        self.states.tidy(record.id for record in unfinished)
        self._pause_after_crash()

    def _recover_unwritten(self) -> None:
        """Write what the disk refused before.

        Raises:
            ImageSaveError, sqlite3.OperationalError: it still refuses.
        """
        self.store.write_unwritten()
        if not self._recovered:
            self._take_up()
        with self._lock:
            self._store_endings()
        arrived: dict[str, None] = {}
        try:
            self.keeper.bring_home(lambda image: arrived.setdefault(image.job))
        finally:
            for job_id in arrived:
                record = self.store.get(job_id)
                if record.state in (DONE, INTERRUPTED):
                    self.store.update(job_id, error=notes_of(record))
                self._announce(self.store.get(job_id))

    def _storage_changed(self) -> None:
        self._announce_queue()
        self._worker.nudge()

    # ---- the engine's news

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
