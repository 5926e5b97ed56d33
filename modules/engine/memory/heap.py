"""Give the C library's heap back to the system.

The engine tells glibc to keep what is freed, because fresh pages cost more than arithmetic. Where
memory is short, what one network's work has left behind would lie beside the next one's.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache


def trim_heap() -> bool:
    """Return free pages; False where the C library has no such call."""
    trim = _malloc_trim()
    return trim is not None and bool(trim(0))


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None  # musl has none
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return trim
