"""How far the running job is, and when it will be done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modules.jobs.records import MODEL_KINDS, RUNNING, JobRecord

STEPPED_KINDS = ("txt2img", "img2img")
"""Jobs whose time goes with steps and megapixels; Extras go picture by picture."""
SMOOTHING = 0.3
"""Weight of the newest step in the running mean of step times."""


@dataclass(frozen=True)
class ProgressSnapshot:
    """Everything a progress bar needs: ``eta``, ``elapsed`` in seconds, ``progress`` in 0 .. 1."""

    job: str | None = None
    kind: str = ""
    """txt2img, img2img, extras, merge or convert."""
    state: str = "idle"
    progress: float = 0.0
    eta: float | None = None
    step: int = 0
    steps: int = 0
    image: int = 0
    """Number of the first image of the current batch, from 0."""
    iteration: int = 0
    iterations: int = 0
    phase: str = "waiting"
    text: str = ""
    position: int | None = None
    """Place among the waiting jobs from 1; None when running or finished."""
    waiting: int = 0
    elapsed: float = 0.0
    preview_id: int = 0
    preview: bytes | None = None
    preview_mime: str | None = None
    started: float | None = None
    skipped: bool = False
    interrupted: bool = False
    stopping: bool = False
    pausing: bool = False

    def to_json(self) -> dict[str, Any]:
        """The object that the live channel and ``/easel/v1`` send."""
        return {
            "job": self.job,
            "kind": self.kind,
            "state": self.state,
            "progress": round(self.progress, 4),
            "eta": None if self.eta is None else round(self.eta, 2),
            "step": self.step,
            "steps": self.steps,
            "image": self.image,
            "iteration": self.iteration,
            "iterations": self.iterations,
            "phase": self.phase,
            "text": self.text,
            "position": self.position,
            "elapsed": round(self.elapsed, 2),
            "preview_id": self.preview_id,
            "pausing": self.pausing,
        }


def iterations(record: JobRecord) -> int:
    """How many batches (or, in Extras, pictures) a job goes through."""
    request = record.prepared.get("request") or {}
    if record.kind == "extras":
        return max(1, len(request.get("images") or ()))
    return max(1, int(request.get("n_iter") or 1))


@dataclass
class Pace:
    """Seconds per step and megapixel of the jobs so far: a first guess for the next one."""

    seconds: float | None = None

    def learn(self, seconds_per_step: float, megapixels: float) -> None:
        """Take in the mean step time of a job."""
        measured = seconds_per_step / max(megapixels, 0.01)
        self.seconds = measured if self.seconds is None else 0.5 * (self.seconds + measured)

    def guess(self, record: JobRecord) -> float | None:
        """Seconds that a waiting job will take, or None when nothing is known."""
        if self.seconds is None:
            return None
        if record.kind not in STEPPED_KINDS:
            return None
        request = record.prepared.get("request") or {}
        steps = int(request.get("steps") or 1) * int(request.get("n_iter") or 1)
        return self.seconds * batch_megapixels(request) * steps


def batch_megapixels(request: dict[str, Any]) -> float:
    """Megapixels that one step computes; 0 for jobs without a size of their own."""
    area = int(request.get("width") or 0) * int(request.get("height") or 0)
    return area * int(request.get("batch_size") or 1) / 1e6


class ProgressMeter:
    """Turns the engine's events of one job into snapshots; safe to read from any thread."""

    def __init__(
        self, record: JobRecord, pace: Pace, clock: Callable[[], float] = time.monotonic
    ) -> None:
        request = record.prepared.get("request") or {}
        self.job = record.id
        self.record = record
        self._pace = pace
        self._clock = clock
        self._lock = threading.Lock()
        self._batch_size = int(request.get("batch_size") or 1)
        self._iterations = iterations(record)
        self._steps = int(request.get("steps") or 0)
        self._megapixels = batch_megapixels(request)
        self._begun = clock()
        self._started = record.started
        self._iteration = 0
        self._before = 0
        self._label = ""
        self._step = 0
        self._phase = "loading"
        self._last_tick: float | None = None
        self._step_seconds: float | None = None
        self._preview: tuple[int, str, bytes] | None = None
        self.skipped = False
        self.interrupted = False
        self.stopping = False
        self.pausing = False

    def begin_sampling(self) -> None:
        """The model is there; text is being encoded."""
        with self._lock:
            self._phase = "sampling"
            self._last_tick = self._clock()

    def begin_unit(self, before: int, left: int, request: dict[str, Any], label: str) -> None:
        """A unit of a plan begins: ``before`` batches are done, ``left`` come with it and after."""
        with self._lock:
            self._label = label
            self._before = self._iteration = before
            self._iterations = max(1, before + left)
            self._step, self._steps = 0, int(request.get("steps") or 0)
            self._batch_size = int(request.get("batch_size") or 1)
            self._megapixels = batch_megapixels(request)

    def tick(self, iteration: int, step: int, steps: int, iterations: int = 1) -> None:
        """``step`` of ``steps`` in batch ``iteration`` of ``iterations`` is done."""
        with self._lock:
            iterations += self._before
            iteration += self._before
            now = self._clock()
            same_batch = iteration == self._iteration and step > self._step > 0
            if same_batch and self._last_tick is not None:
                seconds = (now - self._last_tick) / (step - self._step)
                if self._step_seconds is None:
                    self._step_seconds = seconds
                else:
                    self._step_seconds += SMOOTHING * (seconds - self._step_seconds)
            if iteration != self._iteration:
                self.skipped = False
            self._last_tick = now
            self._phase = "sampling"
            self._iteration, self._step, self._steps = iteration, step, max(steps, 1)
            self._iterations = max(self._iterations, iterations, iteration + 1)

    def saving(self) -> None:
        """The last step is done; images are on their way to disk."""
        with self._lock:
            self._phase = "saving"

    def show(self, mime: str, data: bytes) -> int:
        """Keep the newest preview; returns its number, which only grows."""
        with self._lock:
            number = (self._preview[0] if self._preview else 0) + 1
            self._preview = (number, mime, data)
            return number

    def finish(self) -> None:
        """Remember this job's pace for the next one's first guess."""
        with self._lock:
            if self._step_seconds is not None and self.record.kind in STEPPED_KINDS:
                self._pace.learn(self._step_seconds, self._megapixels)

    def snapshot(self, waiting: int = 0) -> ProgressSnapshot:
        """The state now."""
        with self._lock:
            iteration = min(self._iteration, self._iterations - 1)
            share = self._step / self._steps if self._steps else 0.0
            progress = 0.01 + (iteration + share) / self._iterations
            number, mime, data = self._preview or (0, None, None)
            return ProgressSnapshot(
                job=self.job,
                kind=self.record.kind,
                state=RUNNING,
                progress=min(progress, 1.0),
                eta=self._eta(),
                step=self._step,
                steps=self._steps,
                image=iteration * self._batch_size,
                iteration=iteration,
                iterations=self._iterations,
                phase=self._phase,
                text=self._text(iteration),
                waiting=waiting,
                elapsed=self._clock() - self._begun,
                preview_id=number,
                preview=data,
                preview_mime=mime,
                started=self._started,
                skipped=self.skipped,
                interrupted=self.interrupted,
                stopping=self.stopping,
                pausing=self.pausing,
            )

    def _eta(self) -> float | None:
        seconds = self._step_seconds
        stepped = self.record.kind in STEPPED_KINDS
        if seconds is None and self._pace.seconds is not None and stepped:
            seconds = self._pace.seconds * self._megapixels
        if seconds is None:
            return None
        left = self._steps - self._step + (self._iterations - 1 - self._iteration) * self._steps
        since = 0.0 if self._last_tick is None else self._clock() - self._last_tick
        return max(0.0, left * seconds - min(since, seconds))

    def _text(self, iteration: int) -> str:
        if self.record.kind in MODEL_KINDS:
            return self._file_text()
        if self._phase == "loading":
            return "Loading the model"
        if self._phase == "saving":
            return "Saving"
        batch = f"Batch {iteration + 1} of {self._iterations}, " if self._iterations > 1 else ""
        unit = f"{self._label}, " if self._label else ""
        return f"{unit}{batch}step {self._step}/{self._steps}"

    def _file_text(self) -> str:
        if self._phase == "saving" or not self._steps:
            return "Saving" if self._phase == "saving" else "Looking at the models"
        return f"{self._step} of {self._steps} MB"
