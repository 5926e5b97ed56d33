"""Memory, processor time and files that a process allows itself, where the system has such limits.

Windows has none of them: there a process of its own and the limits of the readers have to do.
"""

from __future__ import annotations

import contextlib
import os


def write_nothing() -> None:
    """No bytes into files and no core dumps, for good."""
    with contextlib.suppress(ImportError):
        import resource

        for name in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(name, (0, 0))


def allow_memory(size: int) -> None:
    """So many bytes of address space in all; may be called again with another number."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        if hard not in (resource.RLIM_INFINITY, -1):
            size = min(size, hard)
        resource.setrlimit(resource.RLIMIT_AS, (size, hard))


def allow_seconds(seconds: int) -> None:
    """So much more processor time, and then the system ends the process."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def address_space() -> int:
    """Bytes of address space that the process has now; a guess where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as stream:
            return int(stream.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return 256 * 1024 * 1024
