"""Writes down where a process connects to and which names it asks for; the tests' servers load it.

Python imports a module of this name at its start where PYTHONPATH leads to it.
"""

from __future__ import annotations

import json
import os
import sys

_FILE = os.environ.get("EASEL_TEST_OUTGOING", "")
_EVENTS = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
    "socket.getnameinfo": 0,
}
"""Audit events (sys.audit) and which argument is the address."""


def _write(*entry: object) -> None:
    line = json.dumps([os.getpid(), *entry], default=repr).encode() + b"\n"
    descriptor = os.open(_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, line)
    os.close(descriptor)


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event in _EVENTS:
        _write(event, arguments[_EVENTS[event]])


if _FILE:
    _write("armed", sys.argv[:1] or sys.orig_argv[:4])
    sys.addaudithook(_hook)
