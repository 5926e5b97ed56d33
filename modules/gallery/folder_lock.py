"""One writer at a time in a folder, over threads and processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_threads = threading.Lock()

WAIT = 10.0
"""Seconds to wait for another process before going on without the lock."""


@contextlib.contextmanager
def folder_lock(folder: Path, locks: Path) -> Iterator[None]:
    """Hold the lock of `folder`; the lock's file lies in `locks`, named by a hash.

    A lock that cannot be had (a file system without locks, a process that hangs) is no reason to
    lose a picture: the caller still creates its file exclusively.
    """
    with _threads, contextlib.ExitStack() as stack:
        digest = hashlib.sha256(str(folder.resolve()).encode("utf-8", "replace")).hexdigest()
        with contextlib.suppress(OSError):
            locks.mkdir(parents=True, exist_ok=True)
            handle = stack.enter_context((locks / f"{digest[:24]}.lock").open("a+b"))
            if _acquire(handle.fileno()):
                stack.callback(_release, handle.fileno())
        yield


def _acquire(descriptor: int) -> bool:
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        if _try_lock(descriptor):
            return True
        time.sleep(0.01)
    return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _release(descriptor: int) -> None:
        with contextlib.suppress(OSError):
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _release(descriptor: int) -> None:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
