"""One engine process as the server sees it: pipes, last signs of life, last words."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modules.requests.events import Event, from_wire
from modules.requests.wire import FrameWriter, WireError, read_frame

logger = logging.getLogger("easel.engine")

LAST_WORDS = 30
"""Lines of the engine's stderr that are kept to explain a crash."""


class EngineChild:
    """A started engine process. It is never used again after it has ended."""

    def __init__(self, command: Sequence[str], root: Path, environment: Mapping[str, str]) -> None:
        """Start the process.

        Raises:
            OSError: it cannot be started.
        """
        self.born = time.monotonic()
        self.last_heard = self.born
        self.ready = False
        """True once torch is imported."""
        self._words: deque[str] = deque(maxlen=LAST_WORDS)
        self._process = subprocess.Popen(
            command,
            cwd=root,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._writer = FrameWriter(self._process.stdin)
        self._listener = threading.Thread(
            target=self._listen_to_stderr, name="engine-stderr", daemon=True
        )
        self._listener.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def last_words(self) -> str:
        """The end of what the process wrote to stderr."""
        return "\n".join(self._words)

    def send(self, command: dict[str, Any]) -> bool:
        """Send a command; False when the process is gone."""
        try:
            self._writer.send(command)
        except (OSError, ValueError) as error:
            if isinstance(error, ValueError) and not self._process.stdin.closed:
                raise
            return False
        return True

    def events(self) -> Iterator[Event]:
        """Everything the process says, until its pipe closes."""
        while True:
            try:
                frame = read_frame(self._process.stdout)
            except (OSError, ValueError, WireError) as error:
                logger.error("the engine's pipe broke: %s", error)
                return
            if frame is None:
                return
            self.last_heard = time.monotonic()
            try:
                yield from_wire(*frame)
            except (TypeError, ValueError) as error:
                logger.error("the engine said something unknown: %s", error)

    def hang_up(self) -> None:
        """Close the command pipe; the process ends itself when it sees that."""
        try:
            self._process.stdin.close()
        except OSError:
            logger.debug("the command pipe was broken already")

    def kill(self) -> None:
        """End the process now."""
        self._process.kill()

    def wait(self, seconds: float) -> int | None:
        """The exit code, or None when it still runs after ``seconds``."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._listener.join(1.0)
        return code

    def bury(self, grace: float) -> int:
        """Make sure that it has ended, close the pipes and return the exit code."""
        code = self.wait(grace)
        if code is None:
            self.kill()
            code = self._process.wait()
        self.hang_up()
        self._process.stdout.close()
        return code

    def _listen_to_stderr(self) -> None:
        with self._process.stderr as stream:
            for raw in stream:
                line = raw.decode("utf-8", errors="replace").rstrip()
                if line:
                    self._words.append(line)
                    _log(line)


def _log(line: str) -> None:
    """Pass the engine's own log on at its level."""
    level, _, text = line.partition(" ")
    number = getattr(logging, level, None) if level.isupper() else None
    if isinstance(number, int):
        logger.log(number, "%s", text)
    else:
        logger.info("%s", line)
