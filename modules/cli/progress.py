"""What the person sees while the pictures are made: one line on stderr."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

from modules.jobs.progress import ProgressSnapshot
from modules.jobs.records import MODEL_KINDS, QUEUED

BAR = 24


class ProgressView:
    """Rewrites one line in a terminal; elsewhere adds a line every few seconds."""

    def __init__(self, stream: TextIO, quiet: bool, noun: str = "prompt") -> None:
        self._stream = stream
        self._quiet = quiet
        self._noun = noun
        self._in_place = stream.isatty()
        self._pause = 0.1 if self._in_place else 5.0
        self._due = 0.0
        self._shown = False

    def show(self, snapshot: ProgressSnapshot, job: int, jobs: int, engine: str) -> None:
        """Show how far a job is, if it is time."""
        now = time.monotonic()
        if self._quiet or now < self._due:
            return
        self._due = now + self._pause
        self._write(describe(snapshot, job, jobs, engine, self._noun))

    def clear(self) -> None:
        """Make room for a line that stays."""
        if self._shown and self._in_place:
            self._stream.write("\r" + " " * _width() + "\r")
            self._stream.flush()
        self._shown = False

    def note(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        self._stream.write(text + "\n")
        self._stream.flush()

    def _write(self, text: str) -> None:
        width = _width()
        self._stream.write("\r" + text[:width].ljust(width) if self._in_place else text + "\n")
        self._stream.flush()
        self._shown = True


def describe(
    snapshot: ProgressSnapshot, job: int, jobs: int, engine: str, noun: str = "prompt"
) -> str:
    """`[######      ] 25% step 5/20, 8 s left`, with the prompt's number when there are several."""
    several = f"{noun} {job}/{jobs} " if jobs > 1 else ""
    if snapshot.state == QUEUED or snapshot.step == 0:
        return f"{several}{engine or snapshot.text or 'preparing'}"
    if snapshot.kind in MODEL_KINDS:
        done = snapshot.text
    else:
        several_batches = snapshot.iterations > 1
        batch = f"batch {snapshot.iteration + 1}/{snapshot.iterations} " if several_batches else ""
        done = f"{batch}step {snapshot.step}/{snapshot.steps}"
    full = round(BAR * snapshot.progress)
    left = f", {snapshot.eta:.0f} s left" if snapshot.eta is not None else ""
    return f"{several}[{'#' * full}{' ' * (BAR - full)}] {snapshot.progress:4.0%} {done}{left}"


def _width() -> int:
    return max(20, shutil.get_terminal_size().columns - 1)
