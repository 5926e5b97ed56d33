"""Has files from outside examined by a process of their own, which is limited and can be lost."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from modules.pickles import reader
from modules.pickles.values import FileIndex, Refused

IDLE_SECONDS = 10.0
"""How long the process waits for another file: a folder full of them needs one start."""
PATIENCE = 20.0
"""Seconds of real time for one file, on a machine that is busy with other things."""
REMEMBERED = 64
"""Answers that are kept; each of them only if it is short."""
REMEMBERED_BYTES = 1024 * 1024

_SCRIPT = Path(reader.__file__).resolve()
Stamp = tuple[str, int, int, int]


def examine(path: Path) -> FileIndex:
    """What a torch file holds and where; small, whatever the size of the file.

    Raises:
        Refused: it is damaged, hostile or no weights file.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise Refused(f"cannot be read ({error.strerror or error})") from error
    stamp = (str(path.absolute()), status.st_size, status.st_mtime_ns, status.st_ino)
    with _LOCK:
        line = _KNOWN.get(stamp)
    if line is None:
        line = _EXAMINER.ask(stamp[0])
        with _LOCK:
            if len(line) <= REMEMBERED_BYTES:
                _KNOWN[stamp] = line
            while len(_KNOWN) > REMEMBERED:
                del _KNOWN[next(iter(_KNOWN))]
    answer = json.loads(line)
    if "refused" in answer:
        raise Refused(answer["refused"])
    content = reader.unpacked(answer["content"])
    return FileIndex(content, answer["size"], answer["modified"])


class Examiner:
    """One such process at a time, started when it is needed and ended when it is idle."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._rest: threading.Timer | None = None

    def ask(self, path: str) -> bytes:
        """The process's answer about a file, as JSON; its death is an answer too."""
        with self._lock:
            if self._rest is not None:
                self._rest.cancel()
            try:
                answer = self._asked(path)
            except OSError as error:
                self._end()
                return _refusal(f"could not be examined ({error.strerror or error})")
            self._rest = threading.Timer(IDLE_SECONDS, self.close)
            self._rest.daemon = True
            self._rest.start()
            return answer

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _asked(self, path: str) -> bytes:
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        alarm = threading.Timer(PATIENCE, process.kill)
        alarm.daemon = True
        alarm.start()
        try:
            process.stdin.write(json.dumps(path).encode("ascii") + b"\n")
            process.stdin.flush()
            line = _line(process.stdout)
        finally:
            alarm.cancel()
        if not line.endswith(b"\n"):
            self._end()
            return _refusal("takes more time or memory to look at than any weights need")
        if line.startswith(reader.LAST):
            self._end()
        return line

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        process.wait()


def _line(stream: IO[bytes]) -> bytes:
    return stream.readline(reader.MAX_ANSWER + 2)


def _refusal(reason: str) -> bytes:
    return json.dumps({"refused": reason}).encode("ascii")


def _environment() -> dict[str, str]:
    """Nothing of ours: the process needs no keys, proxies or paths."""
    kept = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ}


_LOCK = threading.Lock()
_KNOWN: dict[Stamp, bytes] = {}
_EXAMINER = Examiner()
atexit.register(_EXAMINER.close)
