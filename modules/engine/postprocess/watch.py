"""What an upscaler tells and asks between two tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Progress = Callable[[int, int], None]
"""Called with (tiles done, tiles altogether)."""


class Control(Protocol):
    """The part of `JobControl` that is needed here."""

    def check(self) -> None:
        """Raise StopSampling when the work shall end now."""


class Watch:
    """Counts tiles, tells about them, and ends the work when that is asked for."""

    def __init__(self, progress: Progress | None = None, control: Control | None = None) -> None:
        self._progress = progress
        self._control = control
        self.done = 0
        self.total = 0

    def expect(self, tiles: int) -> None:
        """So many tiles will come from here on."""
        self.total = self.done + tiles

    def before(self) -> None:
        """A tile is about to be computed.

        Raises:
            StopSampling: the job was interrupted.
        """
        if self._control is not None:
            self._control.check()

    def after(self) -> None:
        """A tile is there."""
        self.done += 1
        self.total = max(self.total, self.done)
        if self._progress is not None:
            self._progress(self.done, self.total)
