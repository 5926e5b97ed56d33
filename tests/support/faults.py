"""Builds ``faults.c`` and runs programs of ours under it."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).with_suffix(".c")
ROOT = SOURCE.parents[2]
LIBRARY = "EASEL_FAULTS"
"""The environment variable that names the built library inside the program."""


def build(folder: Path) -> Path:
    """The library; the test is skipped where it cannot be built."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not sys.platform.startswith("linux") or compiler is None:
        pytest.skip("failures of the disk are injected on Linux, with a C compiler")
    library = folder / "faults.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        pytest.skip(f"faults.c cannot be built here: {built.stderr[:300]}")
    return library


def environment(library: Path, **more: str) -> dict[str, str]:
    """For a process that the library is loaded into."""
    return {**os.environ, "LD_PRELOAD": str(library), LIBRARY: str(library), **more}


def run(library: Path, module: str, *arguments: str) -> Any:
    """The JSON that a module of ours prints under the library."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment(library),
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


# ---- inside the process


@dataclass
class Injected:
    """One failure: the n-th call below ``folder`` that writes fails with ``error``."""

    nth: int
    error: int
    for_ever: bool
    """A full disk stays full; a bad moment passes."""
    calls: int = 0
    """How many calls there were."""

    @property
    def happened(self) -> bool:
        return self.calls >= self.nth

    def __str__(self) -> str:
        ever = " from then on" if self.for_ever else ""
        return f"{errno.errorcode[self.error]} at call {self.nth}{ever}"


@contextmanager
def failing(folder: Path, injected: Injected) -> Iterator[None]:
    """Inject the failure for the time of the block."""
    library = ctypes.CDLL(os.environ[LIBRARY])
    library.faults_count.restype = ctypes.c_long
    library.faults_arm(str(folder).encode(), injected.nth, injected.error, int(injected.for_ever))
    try:
        yield
    finally:
        injected.calls = library.faults_count()
        library.faults_arm(b"", 0, 0, 0)


ERRORS = (errno.EIO, errno.ENOSPC, errno.EACCES)


def every_failure(attempt: Callable[[Injected], None], stride: int = 1) -> dict[str, int]:
    """Call ``attempt`` for the first, second, … call until there are no more; gives the counts."""
    counts = {"failures": 0, "calls": 0}
    for error in ERRORS:
        for for_ever in (False, True):
            nth = 1
            while True:
                injected = Injected(nth, error, for_ever)
                attempt(injected)
                if not injected.happened:
                    break
                counts["failures"] += 1
                nth += stride
            counts["calls"] = max(counts["calls"], injected.calls)
    return counts
