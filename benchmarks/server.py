"""A real server for measurements over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.plan import ROOT, Plan
from benchmarks.startup import end_server, seconds_until


@dataclass(frozen=True)
class Server:
    """Where it answers, and its process."""

    port: int
    pid: int

    @property
    def base(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def engine(self) -> psutil.Process:
        """The process that computes now."""
        for child in psutil.Process(self.pid).children():
            if "modules.engine.process" in child.cmdline():
                return child
        raise RuntimeError("the engine is not running")

    def get(self, path: str) -> Any:
        """The JSON of an address."""
        with urllib.request.urlopen(self.base + path, timeout=120) as answer:
            return json.load(answer)

    def post(self, path: str, body: object) -> Any:
        """The JSON answer to a JSON body."""
        data = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.base + path, data, headers)
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.load(answer)


@contextlib.contextmanager
def serving(data: Path, plan: Plan, *flags: str) -> Iterator[Server]:
    """A server with a model loaded, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(ROOT / "webui.py"), "--port", str(port)]
    command += ["--data-dir", str(data), "--no-browser", *flags]
    environment = {**os.environ, "OMP_NUM_THREADS": str(plan.threads)}
    server = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        seconds_until(f"http://127.0.0.1:{port}/internal/ready", time.perf_counter(), server)
        yield Server(port, server.pid)
    finally:
        end_server(server)
