"""When an engine counts as stuck: pure arithmetic over clocks, so that it can be tested."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median

STEPS_KEPT = 64
"""Of the newest steps, whose median is the usual one."""


LEAST_SILENCE = 5.0
"""Seconds: native code may keep the heartbeats back for a moment."""


@dataclass(frozen=True)
class WatchLimits:
    """Seconds after which a silent engine is ended and replaced."""

    silence: float = 60.0
    """Without any sign of life, heartbeats included."""
    silence_at_start: float = 300.0
    """The same before torch is imported: slow disks and virus scanners hold imports up."""
    first_step: float = 1800.0
    """A running job without progress, before the length of its steps is known."""
    step_factor: float = 10.0
    step_allowance: float = 60.0
    """A running job without progress: this many of its usual steps, plus so many seconds.
    Infinite: a job is never ended for standing still."""

    @classmethod
    def allowing(cls, seconds: float) -> WatchLimits:
        """The limits with another allowance for engines that hang; 0 never ends one."""
        if seconds <= 0:
            return cls(silence=math.inf, first_step=math.inf, step_allowance=math.inf)
        return cls(
            silence=max(LEAST_SILENCE, seconds),
            step_allowance=seconds,
            first_step=max(cls.first_step, seconds),
        )


class JobClock:
    """Follows one job's progress and says when it has stalled."""

    def __init__(self, now: float) -> None:
        self._last = now
        self._begin_stage()

    def progress(self, now: float, *, is_step: bool, is_stage: bool = False) -> None:
        """Note that the job has moved on; in another stage steps may take another time."""
        if is_stage:
            self._begin_stage()
        if is_step and self._stepped:
            self._steps.append(now - self._last)
        self._stepped = self._stepped or is_step
        self._last = now

    def _begin_stage(self) -> None:
        self._stepped = False
        self._steps: deque[float] = deque(maxlen=STEPS_KEPT)

    def pause(self, seconds: float) -> None:
        """Forget a time in which nothing could move (a sleeping machine)."""
        self._last += seconds

    def stalled(self, now: float, limits: WatchLimits) -> bool:
        """Whether the job has made no progress for too long."""
        if self._steps:
            allowed = limits.step_factor * median(self._steps) + limits.step_allowance
        else:
            allowed = limits.first_step
        return now - self._last > allowed


def silent(now: float, last_heard: float, ready: bool, limits: WatchLimits) -> bool:
    """Whether the process has given no sign of life for too long."""
    return now - last_heard > (limits.silence if ready else limits.silence_at_start)
