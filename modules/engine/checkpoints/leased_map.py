"""The bytes of a file without a copy of them: mapped, while a lease keeps writers waiting.

Touching a mapped file that was cut short kills the process. Under a read lease (`fcntl(2)`, Linux)
whoever wants to write to the file or cut it waits until the lease is given back, which happens
before the next piece is handed out; the reader then goes on with plain reads. Pages come in by
`MADV_POPULATE_READ`, for which a read error is an error and not the end of the process.

There is no lease on a file that somebody has open for writing, that belongs to another user, or on
most network file systems, and none for small files, whose copy costs nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import signal
import sys
from functools import cache
from typing import IO

import torch

SMALLEST_FILE = 16 * 1024 * 1024
WINDOW = 16 * 1024 * 1024
"""Bytes that are in memory at a time, and after which a waiting writer is heard."""
_POPULATE_READ = 22
"""`MADV_POPULATE_READ`, since Linux 5.14."""


class LeasedMap:
    """A mapped file whose pieces are lent out in order. Give it back with :meth:`close`."""

    def __init__(self, descriptor: int, size: int) -> None:
        """Needs a lease; see :func:`map_leased`."""
        self._descriptor = descriptor
        # Private, though nobody writes: torch warns of memory that it may not write to.
        mapping = mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY)
        self._bytes: torch.Tensor | None = torch.frombuffer(mapping, dtype=torch.uint8)
        self._window = (0, 0)

    def piece(self, position: int, most: int) -> torch.Tensor | None:
        """At least one and at most `most` bytes of the file from `position` on.

        They may be used until the next call. None: the lease had to be given back, or the pages
        cannot be read; plain reads tell why.
        """
        if self._bytes is None:
            return None
        if not self._window[0] <= position < self._window[1] and not self._move_to(position):
            self.close()
            return None
        if not _is_leased(self._descriptor):
            self.close()
            return None
        return self._bytes[position : min(position + most, self._window[1])]

    def _move_to(self, position: int) -> bool:
        """Let the pages of the last window go, and bring the next ones in."""
        assert self._bytes is not None
        self._advise(mmap.MADV_DONTNEED)
        begin = position - position % mmap.PAGESIZE
        self._window = (begin, min(begin + WINDOW, self._bytes.numel()))
        # The disk works on the next window while this one is converted.
        os.posix_fadvise(self._descriptor, self._window[1], WINDOW, os.POSIX_FADV_WILLNEED)
        return begin <= position < self._window[1] and self._advise(_POPULATE_READ)

    def _advise(self, advice: int) -> bool:
        """`madvise` on the window; Python's own would stop all threads while the disk works."""
        assert self._bytes is not None
        begin, end = self._window
        return _libc().madvise(self._bytes.data_ptr() + begin, end - begin, advice) == 0

    def close(self) -> None:
        """Give the lease back, so that writers may go on."""
        if self._bytes is not None:
            self._bytes = None  # and with it the mapping
            _release(self._descriptor)


def map_leased(stream: IO[bytes], size: int) -> LeasedMap | None:
    """Map a file that is open for reading and `size` bytes long; None where that is not safe."""
    if not sys.platform.startswith("linux") or size < SMALLEST_FILE:
        return None
    descriptor = stream.fileno()
    if not _lease(descriptor):
        return None
    try:
        # Nobody can cut it any more; but somebody may have done so before.
        if os.fstat(descriptor).st_size == size:
            return LeasedMap(descriptor, size)
    except OSError:
        pass
    _release(descriptor)
    return None


def _lease(descriptor: int) -> bool:
    import fcntl

    try:
        # Nothing happens at this signal; the one that is sent otherwise would end the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError:
        return False
    return True


def _is_leased(descriptor: int) -> bool:
    """Whether nobody waits for the file."""
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK


def _release(descriptor: int) -> None:
    import fcntl

    with contextlib.suppress(OSError):  # the system has taken it already
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return libc
