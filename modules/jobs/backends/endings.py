"""Words for the ways in which a process ends."""

from __future__ import annotations

import signal
import sys

_WINDOWS = {
    0xC0000005: "an access violation in native code",
    0xC00000FD: "a stack overflow",
    0xC0000017: "not enough memory",
    0xC000013A: "Ctrl+C",
    0xC0000135: "a missing DLL",
}


def describe_exit(code: int | None) -> str:
    """Say how a process ended, from ``Popen.returncode``."""
    if code is None:
        return "did not answer any more and was ended"
    if code < 0:
        return f"was ended by signal {-code} ({_signal_words(-code)})"
    if sys.platform == "win32" and code in _WINDOWS:
        return f"ended with code 0x{code:08X} ({_WINDOWS[code]})"
    return f"ended with exit code {code}"


def _signal_words(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return "unknown"
    hint = {
        "SIGKILL": "most likely out of memory",
        "SIGSEGV": "a fault in native code",
        "SIGBUS": "a fault in native code, or a model file that changed while in use",
        "SIGILL": "an instruction that this processor does not know",
        "SIGABRT": "native code gave up",
    }.get(name)
    return f"{name}, {hint}" if hint else name
