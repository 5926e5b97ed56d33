"""Asks the process that knows Content Credentials; its death is an answer too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modules.gallery.credentials import child

PATIENCE = 60.0
"""Seconds of real time for one task, on a machine that is busy with other things."""

_SCRIPT = Path(child.__file__).resolve()


class CredentialsError(ValueError):
    """Content Credentials that cannot be made or read; ``sentence`` is for people."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        super().__init__(sentence)


def ask(
    task: str, parts: Mapping[str, bytes] | None = None, **facts: Any
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Have one task done; gives the answer's facts and its parts.

    Raises:
        CredentialsError: it cannot be done.
    """
    given = dict(parts or {})
    sizes = {name: len(part) for name, part in given.items()}
    head = json.dumps({**facts, "task": task, "sizes": sizes}).encode("ascii")
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(_SCRIPT)],
            input=b"".join([head, b"\n", *given.values()]),
            capture_output=True,
            timeout=PATIENCE,
            env=_environment(),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CredentialsError("Content Credentials took too long.") from None
    except OSError as error:
        reason = error.strerror or "the system refuses"
        raise CredentialsError(f"Content Credentials cannot be handled: {reason}.") from None
    return _answer(done.stdout)


def _answer(data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    line, separator, rest = data.partition(b"\n")
    if not separator:
        raise CredentialsError("The Content Credentials of this picture cannot be handled.")
    answer = json.loads(line)
    if "error" in answer:
        raise CredentialsError(f"Content Credentials: {_readable(answer['error'])}")
    parts, position = {}, 0
    for name, size in answer.pop("sizes").items():
        parts[name] = rest[position : position + size]
        position += size
    return answer, parts


def _readable(text: str) -> str:
    if "No module named" in text:
        return "the package c2pa-python is not installed; start launch.py once to install it."
    return "".join(c if c.isprintable() else " " for c in text.lstrip("_"))


def _environment() -> dict[str, str]:
    """Nothing of ours: the process needs no keys, proxies or settings."""
    kept = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PATH")
    return {name: os.environ[name] for name in kept if name in os.environ}
