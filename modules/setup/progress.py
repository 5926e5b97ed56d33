"""One line that tells how far an installation is."""

from __future__ import annotations

import re
import shutil
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

_COLLECTING = re.compile(r"\s*(?:Collecting|Requirement already satisfied:|Processing)\s+(\S+)")
_DOWNLOADING = re.compile(r"\s*Downloading \S+ \(([\d.]+ [kMG]B)\)")
_BUILDING = re.compile(r"\s*Building wheel for (\S+)")


class PipReport:
    """Follows pip's output and says which of ``total`` packages it is at."""

    def __init__(self, total: int, unpacked: Callable[[], int] = lambda: 0) -> None:
        self.total = total
        self.position = 0
        self.current = ""
        self._unpacked = unpacked
        self._unpacking = False

    def read(self, line: str) -> None:
        """Take in one line of pip's output."""
        if match := _COLLECTING.match(line):
            self.position = min(self.position + 1, self.total)
            self.current = _bare_name(match[1])
        elif match := _DOWNLOADING.match(line):
            self.current = f"{self.current.split(' ')[0]} ({match[1]})"
        elif match := _BUILDING.match(line):
            self.current = f"building {match[1]}"
        elif line.startswith("Installing collected packages"):
            self._unpacking = True

    def describe(self) -> str:
        """The state in a few words: `package 12 of 80: scipy (35.0 MB)`."""
        if self._unpacking:
            return f"unpacking package {min(self._unpacked(), self.total)} of {self.total}"
        return f"package {self.position} of {self.total}: {self.current}"


def _bare_name(requirement: str) -> str:
    name = re.split(r"[=<>;@\[]", requirement.rsplit("/", 1)[-1])[0]
    return name.split("-")[0] if name.endswith((".whl", ".gz")) else name


class ProgressLine:
    """Shows ``describe()`` with the time passed, every second, while the block runs.

    In a terminal one line is rewritten; elsewhere (a log) a line is added every ten seconds.
    """

    def __init__(
        self, title: str, describe: Callable[[], str], stream: TextIO | None = None
    ) -> None:
        self._title = title
        self._describe = describe
        self._stream = stream or sys.stdout
        self._in_place = self._stream.isatty()
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = time.monotonic()

    def __enter__(self) -> ProgressLine:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finished.set()
        self._thread.join()
        outcome = "done" if error is None else "stopped"
        self._show(f"{self._title}: {outcome} after {duration(self._passed())}", last=True)

    def _run(self) -> None:
        pause = 1.0 if self._in_place else 10.0
        while True:
            self._show(f"{self._title}: {self._describe()}, {duration(self._passed())}")
            if self._finished.wait(pause):
                return

    def _passed(self) -> float:
        return time.monotonic() - self._started

    def _show(self, text: str, last: bool = False) -> None:
        if self._in_place:
            width = max(20, shutil.get_terminal_size().columns - 1)
            self._stream.write("\r" + text[:width].ljust(width) + ("\n" if last else ""))
        else:
            self._stream.write(text + "\n")
        self._stream.flush()


def duration(seconds: float) -> str:
    """`8 s`, `3 min 20 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
