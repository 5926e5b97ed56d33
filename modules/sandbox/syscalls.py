"""Leaves a process nothing but memory, time and the pipes it already has (Linux, seccomp).

After `only_compute` every system call that is not in the list fails with EPERM: no file is opened,
no connection made, no program started and no other process touched, whatever code runs here;
`only_read` leaves opening files for reading. Neither can be undone. Where the system has no
seccomp, or forbids it, the process goes on without.
"""

from __future__ import annotations

import ctypes
import platform
import struct
import sys

ALLOWED = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "readv": (19, 65),
    "writev": (20, 66),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "exit": (60, 93),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "sigaltstack": (131, 132),
    "setrlimit": (160, 164),
    "gettid": (186, 178),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "prlimit64": (302, 261),
    "getrandom": (318, 278),
    "membarrier": (324, 283),
    "rseq": (334, 293),
}
"""What remains, with its numbers on x86-64 and on 64-bit ARM (Linux' syscall tables)."""

READING = {
    "fcntl": (72, 25),
    "newfstatat": (262, 79),
    "ioctl": (16, 29),
    "pread64": (17, 67),
}
OPENAT = (257, 56)
"""Allowed to `only_read`, the second of them with flags that neither write nor create."""

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column in ALLOWED and the kernel's number of the architecture."""

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER_MODE = 38, 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ANY_BIT = 0x45
"""Instructions of the filter: load a word of the call, compare it, give the verdict, test bits."""
_NUMBER_AT, _ARCHITECTURE_AT, _THIRD_ARGUMENT_AT = 0, 4, 32
_ALLOW, _FAIL, _KILL = 0x7FFF0000, 0x00050001, 0x80000000
"""Verdicts: let it through, fail with EPERM (1), end the process."""
_CHANGING = 0o1 | 0o2 | 0o100 | 0o1000 | 0o2000 | 0o20000000
"""O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND and the bit of O_TMPFILE that no folder has."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def only_compute() -> bool:
    """Give up every system call that is not in ALLOWED; whether the system could do that."""
    return _apply(_filter(ALLOWED, reading=False))


def only_read() -> bool:
    """As `only_compute`, but files may still be opened for reading."""
    return _apply(_filter({**ALLOWED, **READING}, reading=True))


def _apply(instructions: bytes) -> bool:
    if not instructions:
        return False
    try:
        library = ctypes.CDLL(None, use_errno=True)
        program = _Program(len(instructions) // 8, instructions)
        if library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            return False
        return not library.prctl(_PR_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program), 0, 0)
    except (OSError, AttributeError):
        return False


def _filter(allowed: dict[str, tuple[int, int]], *, reading: bool) -> bytes:
    """The filter for this machine, 8 bytes an instruction; empty where there is none."""
    machine = _MACHINES.get(platform.machine())
    if not sys.platform.startswith("linux") or machine is None or sys.maxsize < 2**32:
        return b""
    column, architecture = machine
    numbers = [entry[column] for entry in allowed.values()]
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if reading:  # the flags are openat's third argument; its lower half comes first
        steps += [
            (_EQUAL, 0, 4, OPENAT[column]),
            (_LOAD, 0, 0, _THIRD_ARGUMENT_AT),
            (_ANY_BIT, 0, 1, _CHANGING),
            (_RETURN, 0, 0, _FAIL),
            (_RETURN, 0, 0, _ALLOW),
        ]
    # From each comparison to the last instruction, over those that follow and over the refusal.
    steps += [(_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    steps += [(_RETURN, 0, 0, _FAIL), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("<HBBI", *step) for step in steps)
