"""From the command to the first page and to the first model, on this machine, offline."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

from benchmarks.machine import peak_resident_mb
from benchmarks.plan import ROOT, Plan

LIMIT_SECONDS = 300.0


def measure(plan: Plan) -> dict[str, object]:
    """Start the server as a user does, twice; the second start counts (files are cached)."""
    _start(plan, plan.data / "first")
    return _start(plan, plan.data / "second")


def _start(plan: Plan, data: Path) -> dict[str, object]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(ROOT / "launch.py"), "serve", "--skip-install"]
    command += ["--port", str(port), "--data-dir", str(data), "--no-browser"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(plan.threads)}
    started = time.perf_counter()
    server = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        page = seconds_until(f"http://127.0.0.1:{port}/", started, server)
        plan.say(f"first page after {page:.2f} s")
        ready = seconds_until(f"http://127.0.0.1:{port}/internal/ready", started, server)
        plan.say(f"model ready after {ready:.2f} s")
        return {"first_page_s": page, "ready_s": ready, **_memory(server.pid)}
    finally:
        end_server(server)


def seconds_until(url: str, started: float, server: subprocess.Popen[bytes]) -> float:
    """Wait for an address to answer; seconds since `started`.

    Raises:
        RuntimeError: the server ended, or does not answer in time.
    """
    while time.perf_counter() - started < LIMIT_SECONDS:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with {server.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                if answer.status == 200:
                    answer.read()
                    return time.perf_counter() - started
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"{url} did not answer within {LIMIT_SECONDS:.0f} s")


def _memory(pid: int) -> dict[str, object]:
    children = psutil.Process(pid).children(recursive=True)
    server, engine = peak_resident_mb(pid), sum(peak_resident_mb(c.pid) for c in children)
    return {
        "peak_rss_mb": round(server + engine),
        "server_rss_mb": round(server),
        "engine_rss_mb": round(engine),
    }


def end_server(server: subprocess.Popen[bytes]) -> None:
    """Stop a server kindly, then not."""
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
