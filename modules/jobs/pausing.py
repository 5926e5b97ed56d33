"""Putting single jobs aside and going on with them, between two steps if need be."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from modules.jobs.records import FINISHED, PAINTING, PAUSED, QUEUED, RUNNING, JobRecord
from modules.jobs.run import Ending, JobRun
from modules.jobs.steering import FIRST, QueueSteering
from modules.requests.errors import RequestError
from modules.requests.prepared import PreparedJob

RESOURCE = "paused"
"""Name of the prepared job's resource: the file that the engine goes on from."""
MOST_PAUSED = 200
When = Literal["now", "after_current"]
MODES: dict[When, str] = {"now": "pause", "after_current": "pause_after_current"}
GONE = "What was kept of the paused job is not there any more. It began again."


class JobPausing(QueueSteering):
    """The part of the job service that pauses jobs; the queue as a whole: see ``pause_all``."""

    def pause(self, job_id: str, when: When = "now") -> JobRecord:
        """Put a job aside: a waiting one at once, the running one after its step or its batch.

        What it has done is kept on disk, over restarts too; the engine is free for other jobs.

        Raises:
            UnknownJob: there is none with this id.
            RequestError: it is finished, cannot be paused, or too many are paused.
        """
        if when not in MODES:
            raise RequestError("when", when, f"allowed: {', '.join(MODES)}.")
        with self._lock:
            record = self.store.get(job_id)
            if record.state in FINISHED:
                raise RequestError("id", job_id, f"the job is {record.state} already.")
            if record.state == PAUSED:
                return record
            if self.store.count(PAUSED) >= MOST_PAUSED:
                raise RequestError(
                    "id", job_id, f"{MOST_PAUSED} jobs are paused already; allowed: {MOST_PAUSED}."
                )
            if record.state == QUEUED:
                self.store.update(job_id, state=PAUSED)
                record = self.store.get(job_id)
                self._overtaken.pop(job_id, None)
            else:
                self._ask_to_pause(record, MODES[when])
        self._announce(record)
        return record

    def resume(self, job_id: str) -> JobRecord:
        """Go on with a paused job, next.

        Raises:
            UnknownJob: there is none with this id.
            RequestError: it is not paused.
        """
        with self._lock:
            record = self.store.get(job_id)
            if record.state in (QUEUED, RUNNING):
                return record
            if record.state != PAUSED:
                raise RequestError("id", job_id, f"the job is {record.state}, not paused.")
            self._queue_first(job_id)
            record = self.store.get(job_id)
        self._announce(record)
        self._worker.nudge()
        return record

    def do_first(self, job_id: str) -> JobRecord:
        """Run a waiting or paused job now; the running one is put aside and goes on behind it.

        A job that cannot be paused is let to its end, and so is any while the queue is paused.

        Raises:
            UnknownJob: there is none with this id.
            RequestError: it is finished.
        """
        with self._lock:
            record = self.store.get(job_id)
            if record.state == RUNNING:
                return record
            if record.state not in (QUEUED, PAUSED):
                raise RequestError("id", job_id, f"the job is {record.state}; it does not wait.")
            self._queue_first(job_id)
            run = self._current
            if run is not None and run.record.kind in PAINTING and not self._paused:
                run.yields_to = job_id
                run.ask_to_pause(MODES["now"])
            record = self.store.get(job_id)
        self._announce(record)
        self._worker.nudge()
        return record

    # ---- the worker's side

    def _to_go_on(self, run: JobRun, prepared: PreparedJob) -> PreparedJob:
        """The job as the engine gets it: with where it was, if it was paused."""
        path = self.states.find(run.record.id)
        if path is not None:
            return replace(prepared, resources={**prepared.resources, RESOURCE: str(path)})
        if run.record.facts.get("paused", {}).get("kept"):
            run.warn(GONE)
        return prepared

    def _put_aside(self, run: JobRun, ending: Ending) -> None:
        """A run has been paused."""
        job_id = run.record.id
        with self._lock:
            self.store.update(
                job_id,
                state=PAUSED,
                started=None,
                attempts=run.record.attempts,
                error=ending.message,
                facts=ending.facts,
                timings=ending.timings,
            )
            if run.yields_to is not None:
                self._queue_first(job_id, behind=run.yields_to)
            record = self.store.get(job_id)
        self._announce(record)

    def _ask_to_pause(self, record: JobRecord, mode: str) -> None:
        run = self._current
        if record.kind not in PAINTING:
            raise RequestError(
                "id",
                record.id,
                f"a job of the kind {record.kind} cannot be paused while it runs; "
                f"allowed: {', '.join(PAINTING)}.",
            )
        if run is not None and run.record.id == record.id:
            run.yields_to = None
            run.ask_to_pause(mode)

    def _queue_first(self, job_id: str, behind: str | None = None) -> None:
        """Let a job wait at the front, or right behind another that waits there."""
        first = self.store.edge_positions()[0]
        self.store.update(job_id, state=QUEUED, position=first - 1)
        ids = self.store.waiting_ids()
        if behind in ids:
            ids.remove(job_id)
            ids.insert(ids.index(behind) + 1, job_id)
            self.store.reorder(ids)
        # It is not overtaken by jobs of the loaded checkpoint.
        self._overtaken[job_id] = FIRST
