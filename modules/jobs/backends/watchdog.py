"""When an engine counts as stuck: pure arithmetic over clocks, so that it can be tested."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WatchLimits:
    """Seconds after which a silent engine is ended and replaced."""

    silence: float = 60.0
    """Without any sign of life, heartbeats included."""
    silence_at_start: float = 300.0
    """The same before torch is imported: slow disks and virus scanners hold imports up."""
    first_step: float = 1800.0
    """A running job without progress, before the length of its steps is known."""
    step_factor: float = 20.0
    step_allowance: float = 120.0
    """A running job without progress: this many of its longest steps, plus so many seconds."""


class JobClock:
    """Follows one job's progress and says when it has stalled."""

    def __init__(self, now: float) -> None:
        self._last = now
        self._longest = 0.0
        self._steps = 0

    def progress(self, now: float, *, is_step: bool) -> None:
        """Note that the job has moved on."""
        if is_step and self._steps:
            self._longest = max(self._longest, now - self._last)
        self._steps += int(is_step)
        self._last = now

    def pause(self, seconds: float) -> None:
        """Forget a time in which nothing could move (a sleeping machine)."""
        self._last += seconds

    def stalled(self, now: float, limits: WatchLimits) -> bool:
        """Whether the job has made no progress for too long."""
        if self._longest:
            allowed = limits.step_factor * self._longest + limits.step_allowance
        else:
            allowed = limits.first_step
        return now - self._last > allowed


def silent(now: float, last_heard: float, ready: bool, limits: WatchLimits) -> bool:
    """Whether the process has given no sign of life for too long."""
    return now - last_heard > (limits.silence if ready else limits.silence_at_start)
