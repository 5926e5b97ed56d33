"""One run of one job: events become progress, previews, saved pictures and an ending."""

from __future__ import annotations

import logging
import sqlite3
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from modules.jobs.backends.base import Backend, Outcome
from modules.jobs.describe import image_json
from modules.jobs.fanout import Fanout
from modules.jobs.paused_states import PausedStates
from modules.jobs.picture_plan import is_shown
from modules.jobs.progress import ProgressMeter
from modules.jobs.records import DONE, FAILED, INTERRUPTED, PAUSED, QUEUED, ImageRecord, JobRecord
from modules.jobs.results import ResultKeeper
from modules.jobs.store import JobStore
from modules.requests import events
from modules.requests.prepared import PreparedJob

log = logging.getLogger("easel.jobs")

NEWS_INTERVAL = 0.1
"""Seconds between two progress messages."""
UNEXPECTED = "An unexpected error; the log has the details."
MIME = {"jpeg": "image/jpeg", "jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}


@dataclass(frozen=True)
class Ending:
    """How the run ended; state ``paused`` puts the job aside, ``queued`` means that the engine died
    and the job may run again."""

    state: str
    message: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)


def notes_of(record: JobRecord) -> str | None:
    """Why pictures are not where they should be, once."""
    notes = dict.fromkeys(image.note for image in record.images if image.note)
    return " ".join(notes) or None


class JobRun:
    """Carries one job out on the worker's thread."""

    def __init__(
        self,
        record: JobRecord,
        meter: ProgressMeter,
        keeper: ResultKeeper,
        store: JobStore,
        fanout: Fanout,
        backend: Backend,
        states: PausedStates,
    ) -> None:
        self.record = record
        self.meter = meter
        self.closing = False
        """The program is ending: an interruption then is not the user's."""
        self.begun = False
        """The engine has said that it works on the job, so that its death counts as an attempt."""
        self._keeper = keeper
        self._store = store
        self._fanout = fanout
        self._backend = backend
        self._states = states
        self.yields_to: str | None = None
        """The job that goes first; this one waits behind it after it has been paused."""
        self._asked: list[str] = []
        self._warnings = list(record.warnings)
        self._saving: list[Future[ImageRecord | None]] = []
        # A picture that an interruption left half done is made again.
        self._kept = {
            (image.kind, image.index)
            for image in record.images
            if not image.facts.get("incomplete")
        }
        self._news_due = 0.0
        self._place: dict[str, Any] = {}
        """Where the job was when it was paused."""

    def ask_to_stop(self, mode: str) -> None:
        """Pass the wish on, and once more when the engine begins: it may not have the job yet."""
        self._asked.append(mode)
        if mode == "interrupt":
            self.meter.interrupted = True
        elif mode == "skip":
            self.meter.skipped = True
        else:
            self.meter.stopping = True
        heard = self._backend.interrupt(self.record.id, mode)
        if heard and mode == "skip":
            self._asked.remove(mode)  # asking twice could skip the next batch too

    def ask_to_pause(self, mode: str) -> None:
        """The same for ``pause`` and ``pause_after_current``."""
        self._asked.append(mode)
        self.meter.pausing = True
        self._backend.interrupt(self.record.id, mode)
        self._report()

    def carry_out(self, prepared: PreparedJob) -> Ending:
        """Run to the end and save what came."""
        try:
            outcome = self._backend.run(prepared, self._on_event)
        except Exception:
            log.exception("job %s: the backend failed", self.record.id)
            outcome = Outcome("failed", "internal", UNEXPECTED)
        self.meter.saving()
        self._report()
        lost = self._wait_for_saving()
        self.meter.finish()
        return self._ending(prepared, outcome, lost)

    def _ending(self, prepared: PreparedJob, outcome: Outcome, lost: str | None) -> Ending:
        facts, timings = dict(outcome.facts), dict(outcome.timings)
        if self.closing and outcome.ending != "done":
            return Ending(QUEUED, "The program ended.")
        if outcome.ending == "crashed":
            if "interrupt" in self._asked:
                return Ending(INTERRUPTED, outcome.message or None, facts, timings)
            return Ending(QUEUED, outcome.message)
        if outcome.ending == "failed":
            return Ending(FAILED, outcome.message, {**facts, "failure": outcome.failure}, timings)
        if lost:
            return Ending(FAILED, lost, facts, timings)
        if outcome.ending == "paused":
            return Ending(PAUSED, self._notes(), {**facts, "paused": self._place}, timings)
        self._make_grid(prepared)
        notes = self._notes()
        state = INTERRUPTED if outcome.ending == "interrupted" else DONE
        return Ending(state, notes, facts, timings)

    def _notes(self) -> str | None:
        return notes_of(self._store.get(self.record.id))

    # ---- events, on the worker's thread

    def _on_event(self, event: events.Event) -> None:
        if isinstance(event, (events.ModelLoading, events.Started)):
            self._count_attempt()
        if isinstance(event, events.Started):
            self.meter.begin_sampling()
            for mode in dict.fromkeys(self._asked):
                self._backend.interrupt(self.record.id, mode)
            self._report()
        elif isinstance(event, events.Step):
            self.meter.tick(event.iteration, event.step, event.steps, event.n_iter)
            self._report()
        elif isinstance(event, events.Preview):
            self._show(event)
        elif isinstance(event, events.ImageDone):
            self._keep(event)
        elif isinstance(event, events.Paused):
            self._keep_state(event)
        elif isinstance(event, events.Warning_):
            self.warn(event.message, popup=event.popup)

    def _count_attempt(self) -> None:
        if not self.begun:
            self.begun = True
            self._note(attempts=self.record.attempts + 1)

    def _note(self, **changes: Any) -> None:
        """Keep a remark about the job; a disk that refuses does not end the job."""
        try:
            self._store.update(self.record.id, **changes)
        except sqlite3.OperationalError as error:
            log.warning("job %s: %s could not be stored: %s", self.record.id, list(changes), error)
            self._store.troubled(error)

    def _report(self) -> None:
        now = time.monotonic()
        snapshot = self.meter.snapshot()
        last = snapshot.phase == "saving" or snapshot.step in (0, snapshot.steps)
        if now < self._news_due and not last:
            return
        self._news_due = now + NEWS_INTERVAL
        self._fanout.publish(
            {
                "type": "progress",
                **snapshot.to_json(),
                "id": snapshot.job,
                "n_iter": snapshot.iterations,
            }
        )

    def _show(self, event: events.Preview) -> None:
        mime = MIME.get(event.format, "image/jpeg")
        number = self.meter.show(mime, event.data)
        header = {
            "type": "preview",
            "job": self.record.id,
            "step": event.step,
            "preview_id": number,
            "mime": mime,
        }
        self._fanout.publish(header, event.data)

    def _keep_state(self, event: events.Paused) -> None:
        """Write down where the job is; without it, the job begins again when it goes on."""
        now, kept = self.meter.snapshot(), True
        try:
            self._states.put(self.record.id, event.data)
        except OSError as error:
            log.warning("job %s: its state could not be kept: %s", self.record.id, error)
            self._states.forget(self.record.id)
            why = error.strerror or error
            self.warn(f"What was done of the job could not be kept ({why}): it will begin again.")
            kept = False
        self._place = {
            "kept": kept,
            "progress": round(now.progress, 4) if kept else 0.0,
            "step": now.step,
            "steps": now.steps,
            "iteration": event.iteration,
            "iterations": now.iterations,
        }

    def warn(self, message: str, *, popup: bool = False) -> None:
        """Tell the user, once per job; with ``popup`` the page says it at once."""
        if message in self._warnings:
            return
        self._warnings.append(message)
        self._note(warnings=self._warnings)
        told = {"type": "warning", "job": self.record.id, "message": message}
        self._fanout.publish({**told, "popup": True} if popup else told)

    def _keep(self, event: events.ImageDone) -> None:
        place = (event.role, event.index)
        if place in self._kept:
            return  # it was saved before the engine died, and the same seed gives the same picture
        if self.closing and event.facts.get("incomplete"):
            return  # the next start makes it in full
        self._kept.add(place)
        future = self._keeper.keep(self.record, event)
        future.add_done_callback(self._tell_image)
        self._saving.append(future)

    def _tell_image(self, future: Future[ImageRecord | None]) -> None:
        if future.cancelled() or future.exception() is not None:
            return
        image = future.result()
        if image is not None and is_shown(image.kind, self.record.prepared["options"]):
            self._tell(image)

    def _tell(self, image: ImageRecord) -> None:
        self._fanout.publish({"type": "image", "job": self.record.id, "image": image_json(image)})

    def _wait_for_saving(self) -> str | None:
        """Wait for the last picture; a sentence when one could not be kept at all."""
        lost = None
        for future in self._saving:
            try:
                future.result()
            except Exception as error:
                log.exception("job %s: a picture could not be kept", self.record.id)
                lost = f"A picture could not be kept: {error}"
        return lost

    def _make_grid(self, prepared: PreparedJob) -> None:
        try:
            grid = self._keeper.grid(self._store.get(self.record.id), prepared)
        except Exception as error:
            log.exception("job %s: the grid could not be made", self.record.id)
            self.warn(f"The grid could not be made: {error}")
            return
        if grid is not None:
            self._tell(grid)
