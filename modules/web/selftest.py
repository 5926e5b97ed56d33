"""The self-test beside a running server: a process of its own, whose table is kept here.

It has its own engine, queue and data folder, so that it disturbs nothing, and so that whatever it
finds broken ends nothing but itself.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from modules.settings.flags import Flags
from modules.settings.paths import ROOT, Paths
from modules.web.context import AppContext
from modules.web.rest.answers import SafeJSON, error_answer

log = logging.getLogger("easel.web")

NEVER, RUNNING, DONE, STOPPED, BROKEN = "never", "running", "done", "stopped", "broken"
SWITCHES = ("lowvram", "medvram", "medvram_sdxl", "no_half", "no_half_vae", "upcast_sampling")
LAST_WORDS = 2000
"""Characters of what the process said before it ended without a table."""


class SelfTest:
    """One run at a time; safe to use from any thread."""

    def __init__(
        self, paths: Paths, flags: Flags, publish: Callable[[dict[str, Any]], None]
    ) -> None:
        self._paths, self._flags, self._publish = paths, flags, publish
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._state = NEVER
        self._total = 0
        self._rows: list[dict[str, Any]] = []
        self._begun = 0.0
        self._error = ""

    def start(self, only: list[str] | None = None) -> bool:
        """Begin; False when it runs already.

        Args:
            only: groups of cases; everything without.

        Raises:
            OSError: the process or its folder cannot be made.
        """
        with self._lock:
            if self._state == RUNNING:
                return False
            folder = self._folder()
            self._process = subprocess.Popen(
                self._command(folder, only or []),
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
            self._state, self._total, self._rows = RUNNING, 0, []
            self._begun, self._error = time.time(), ""
            arguments = (self._process, folder)
        threading.Thread(target=self._follow, args=arguments, name="selftest", daemon=True).start()
        self._tell()
        return True

    def stop(self) -> bool:
        """End it; False when it does not run."""
        with self._lock:
            process = self._process
            if self._state != RUNNING or process is None:
                return False
            self._state = STOPPED
        process.terminate()
        return True

    def to_json(self) -> dict[str, Any]:
        """How far it is, and the table so far."""
        with self._lock:
            return {
                "state": self._state,
                "total": self._total,
                "rows": list(self._rows),
                "started": self._begun or None,
                "error": self._error,
            }

    def _folder(self) -> Path:
        """An empty folder; whatever an earlier run left goes."""
        folder = self._paths.cache / "selftest"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def _command(self, folder: Path, only: list[str]) -> list[str]:
        flags, paths = self._flags, self._paths
        command = [sys.executable, "-m", "modules.cli", "selftest", "--json"]
        command += ["--folder", str(folder), "--precision", flags.precision]
        command += [f"--{name.replace('_', '-')}" for name in SWITCHES if getattr(flags, name)]
        if flags.use_cpu:
            command += ["--use-cpu", *flags.use_cpu]
        if flags.device_id:
            command += ["--device-id", flags.device_id]
        command += ["--gfpgan-models-path", str(paths.gfpgan)]
        command += ["--codeformer-models-path", str(paths.codeformer)]
        return command + [f"--only={group}" for group in only]

    def _follow(self, process: subprocess.Popen[str], folder: Path) -> None:
        assert process.stdout is not None and process.stderr is not None
        words: list[str] = []
        listener = threading.Thread(target=lambda: words.append(process.stderr.read()), daemon=True)
        listener.start()
        for line in process.stdout:
            self._take(line)
        code = process.wait()
        listener.join(5.0)
        with self._lock:
            if self._state == RUNNING:
                whole = self._total and len(self._rows) == self._total
                self._state = DONE if whole else BROKEN
            if self._state == BROKEN:
                said = " ".join("".join(words)[-LAST_WORDS:].split()) or f"exit code {code}"
                self._error = f"The self-test ended before its end: {said}."
                log.error("%s", self._error)
        shutil.rmtree(folder, ignore_errors=True)
        self._tell()

    def _take(self, line: str) -> None:
        try:
            found = json.loads(line)
        except ValueError:
            return
        with self._lock:
            if found.get("event") == "begin":
                self._total = int(found["total"])
            elif found.get("event") == "row":
                del found["event"]
                self._rows.append(found)
        self._tell()

    def _tell(self) -> None:
        now = self.to_json()
        brief = {"state": now["state"], "total": now["total"], "done": len(now["rows"])}
        self._publish({"type": "selftest", **brief})


def selftest_router(context: AppContext) -> APIRouter:
    """What the table in the Settings tab asks."""
    router = APIRouter(prefix="/easel/v1/selftest", tags=["server"])
    selftest = context.selftest

    @router.get("")
    def table() -> Response:
        """The last run, or the one under way."""
        return SafeJSON(selftest.to_json())

    @router.post("")
    def start() -> Response:
        """Begin a run."""
        if not selftest.start():
            return error_answer(409, "Running", "The self-test is running already.")
        return SafeJSON(selftest.to_json())

    @router.post("/stop")
    def stop() -> Response:
        """End the run under way."""
        return SafeJSON({"stopped": selftest.stop()})

    return router
