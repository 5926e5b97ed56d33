"""Interrupt, skip and pause: flags that another thread sets and the sampler reads at each step.

No torch here: the command reader needs it before torch is imported.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

MODES = ("interrupt", "skip", "stop_after_current", "pause", "pause_after_current")
"""``interrupt`` ends the job at the next step, ``skip`` ends the current batch at the next step,
``stop_after_current`` ends the job when the current batch is finished. ``pause`` puts it aside at
the next step, ``pause_after_current`` when the current batch is finished."""


class StopSampling(Exception):  # noqa: N818 - not an error; it unwinds a sampler from inside
    """Raised inside the denoiser, so that samplers with many evaluations a step stop at once."""


class PauseSampling(Exception):  # noqa: N818 - not an error; it unwinds the job that is put aside
    """Raised between two steps or two batches when the job shall go on later."""


class JobControl:
    """The flags of one job. Setting is safe from any thread."""

    def __init__(self, job: str) -> None:
        self.job = job
        self._flags = {mode: threading.Event() for mode in MODES}

    def signal(self, mode: str) -> None:
        """Ask for one of :data:`MODES`.

        Raises:
            ValueError: the mode is not known.
        """
        if mode not in MODES:
            raise ValueError(f"mode: {mode!r} is not known. Allowed: {', '.join(MODES)}.")
        self._flags[mode].set()

    @property
    def interrupted(self) -> bool:
        """The job shall end at the next step."""
        return self._flags["interrupt"].is_set()

    @property
    def ends_after_batch(self) -> bool:
        """No further batch shall begin."""
        return self.interrupted or self._flags["stop_after_current"].is_set()

    @property
    def stops(self) -> bool:
        """The current batch shall end now."""
        return self.interrupted or self._flags["skip"].is_set()

    @property
    def pauses(self) -> bool:
        """The job shall be put aside at the next step."""
        return self._flags["pause"].is_set()

    @property
    def pauses_after_batch(self) -> bool:
        """The job shall be put aside before a further batch begins."""
        return self.pauses or self._flags["pause_after_current"].is_set()

    def check(self) -> None:
        """Call before every evaluation of the model.

        Raises:
            StopSampling: the current batch shall end now.
        """
        if self.stops:
            raise StopSampling

    def begin_batch(self) -> None:
        """Call before each further batch: a skip that came too late must not hit the next."""
        self._flags["skip"].clear()


class ControlBoard:
    """The controls of all jobs that this process knows of, by id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._controls: dict[str, JobControl] = {}

    def open(self, job: str) -> JobControl:
        """The control of a job, made when it is first seen (before the job starts to run)."""
        with self._lock:
            return self._controls.setdefault(job, JobControl(job))

    def signal(self, job: str | None, mode: str) -> bool:
        """Signal one job, or all when ``job`` is None; False when there is nobody to hear it."""
        with self._lock:
            controls = [c for c in self._controls.values() if job is None or c.job == job]
        for control in controls:
            control.signal(mode)
        return bool(controls)

    @contextmanager
    def running(self, job: str) -> Iterator[JobControl]:
        """The job's control for as long as it runs; forgotten afterwards."""
        control = self.open(job)
        try:
            yield control
        finally:
            with self._lock:
                self._controls.pop(job, None)
