"""Looking at the queue: what waits, what runs, how far it is. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modules.jobs.describe import brief_json, job_json
from modules.jobs.progress import Pace, ProgressMeter, ProgressSnapshot, iterations
from modules.jobs.records import FINISHED, QUEUED, RUNNING, JobRecord
from modules.jobs.run import JobRun
from modules.jobs.store import JobStore


class QueueView:
    """The reading half of the job service; never waits for the worker."""

    def __init__(self, store: JobStore) -> None:
        self.store = store
        self.pace = Pace()
        self._current: JobRun | None = None
        self._paused = store.get_flag("paused") == "yes"
        self._unstored: dict[str, JobRecord] = {}
        """Finished jobs whose ending is not in the store yet (a full disk)."""

    def record(self, job_id: str) -> JobRecord:
        """One job.

        Raises:
            UnknownJob: there is none with this id.
        """
        return self._unstored.get(job_id) or self.store.get(job_id)

    def queue(self) -> list[JobRecord]:
        """Unfinished jobs: the running one first, then the waiting ones in order."""
        running = [record for record in self.store.running() if record.id not in self._unstored]
        return running + self.store.waiting()

    def recent(self, limit: int = 20, states: Iterable[str] = FINISHED) -> list[JobRecord]:
        """Finished jobs in these states, newest first."""
        states = list(states)
        unstored = [one for one in self._unstored.values() if one.state in states]
        unstored.sort(key=lambda record: -(record.finished or 0))
        return (unstored + self.store.recent(limit, states))[:limit]

    def brief(self, record: JobRecord) -> dict[str, Any]:
        """A line of the queue as JSON."""
        return brief_json(record, self._position(record), self._progress_of(record))

    def describe(self, record: JobRecord) -> dict[str, Any]:
        """All of a job as JSON."""
        return job_json(record, self._position(record), self._progress_of(record))

    def briefs(self) -> list[dict[str, Any]]:
        """The queue as JSON lines."""
        lines, place = [], 0
        for record in self.queue():
            waiting = record.state == QUEUED
            place += waiting
            lines.append(brief_json(record, place if waiting else None, self._progress_of(record)))
        return lines

    def paused_briefs(self) -> list[dict[str, Any]]:
        """The jobs that were put aside as JSON lines, in the order in which they came."""
        return [self.brief(record) for record in self.store.paused()]

    def _position(self, record: JobRecord) -> int | None:
        if record.state != QUEUED:
            return None
        ids = self.store.waiting_ids()
        return ids.index(record.id) + 1 if record.id in ids else None

    def _progress_of(self, record: JobRecord) -> float:
        current = self._current
        if record.state == RUNNING and current is not None and current.record.id == record.id:
            return current.meter.snapshot().progress
        return float((record.facts.get("paused") or {}).get("progress") or 0.0)

    @property
    def current(self) -> ProgressMeter | None:
        """The meter of the running job."""
        run = self._current
        return run.meter if run is not None else None

    def snapshot(self, job_id: str | None = None) -> ProgressSnapshot:
        """Progress of one job, or of the running one; never waits for the worker.

        Without an id, it does not wait for the disk either: it may be called on the event loop.

        Raises:
            UnknownJob: there is no job with this id.
        """
        run = self._current
        if run is not None and job_id in (None, run.record.id):
            return run.meter.snapshot(self.store.queued)
        if job_id is None:
            return ProgressSnapshot(waiting=self.store.queued)
        return self._snapshot_of(self.store.get(job_id))

    def _snapshot_of(self, record: JobRecord) -> ProgressSnapshot:
        request = record.prepared.get("request") or {}
        fields = {
            "job": record.id,
            "state": record.state,
            "steps": int(request.get("steps") or 0),
            "iterations": iterations(record),
            "waiting": self.store.queued,
        }
        if record.state != QUEUED:
            return ProgressSnapshot(
                **fields,
                progress=1.0 if record.state in FINISHED else self._progress_of(record),
                phase=record.state,
            )
        jobs = self.store.waiting()
        place = next((n for n, job in enumerate(jobs, 1) if job.id == record.id), 1)
        return ProgressSnapshot(
            **fields,
            position=place,
            eta=self._eta_of_waiting(jobs[:place]),
            text=f"In queue: {place}/{len(jobs)}",
        )

    def _eta_of_waiting(self, jobs: list[JobRecord]) -> float | None:
        """Seconds until the last of these waiting jobs is done."""
        guesses = [self.pace.guess(job) for job in jobs]
        if any(guess is None for guess in guesses):
            return None
        run = self._current
        first = (run.meter.snapshot().eta or 0.0) if run is not None else 0.0
        return first + sum(guess for guess in guesses if guess is not None)

    @property
    def paused(self) -> bool:
        """True when nothing new starts."""
        return self._paused

    @property
    def busy(self) -> bool:
        """True while a job runs."""
        return self._current is not None
