"""Fixtures shared by all rooms: a browser, the shipped model, and a real server on a free port."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
STARTER = ROOT / "models" / "Stable-diffusion" / "easel-starter"


@dataclass(frozen=True)
class RunningServer:
    """A server process of this project with its own data folder."""

    url: str
    port: int
    data_dir: Path
    process: subprocess.Popen[bytes]
    log: Path

    def get(self, path: str, timeout: float = 30.0) -> Any:
        """JSON of a GET."""
        with urllib.request.urlopen(self.url + path, timeout=timeout) as answer:
            return json.load(answer)

    def post(self, path: str, body: Any = None, timeout: float = 300.0) -> Any:
        """JSON answer of a JSON POST."""
        data = json.dumps(body if body is not None else {}).encode()
        request = urllib.request.Request(
            self.url + path, data=data, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)

    def wait_until_ready(self, timeout: float = 180.0) -> None:
        """Return when the engine has a model loaded."""
        self._wait_for("/internal/ready", timeout)

    def wait_until_up(self, timeout: float = 120.0) -> None:
        """Return when the page can be served."""
        self._wait_for("/internal/ping", timeout)

    def _wait_for(self, path: str, timeout: float) -> None:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                pytest.fail(f"the server ended with {self.process.returncode}:\n{self.tail()}")
            try:
                with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.2)
        pytest.fail(f"{path} did not answer within {timeout:.0f} s:\n{self.tail()}")

    def tail(self) -> str:
        """The end of the server's log."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_server(data_dir: Path, *flags: str, port: int | None = None) -> RunningServer:
    """Start ``webui.py`` on a free port with its data in ``data_dir``; waits until it answers."""
    port = port or free_port()
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / "server.log"
    command = [sys.executable, str(ROOT / "webui.py"), "--port", str(port), "--data-dir"]
    command += [str(data_dir), "--no-browser", "--test-mode", *flags]
    # One thread: small pictures gain nothing from two, which wait for each other when others work.
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONUNBUFFERED": "1"}
    environment.setdefault("PYTHONPATH", str(ROOT / "tests" / "support" / "outgoing"))
    environment["EASEL_TEST_OUTGOING"] = str(data_dir.resolve() / "outgoing.log")
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env=environment,
        )
    server = RunningServer(f"http://127.0.0.1:{port}", port, data_dir, process, log)
    server.wait_until_up()
    return server


def stop_server(server: RunningServer) -> None:
    """End the server and, with it, its engine."""
    server.process.terminate()
    try:
        server.process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


FULL_TIMEOUT = 1800
"""Seconds for a test marked ``full`` that names no limit of its own."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--full``: the long tests too, those marked ``full``."""
    parser.addoption("--full", action="store_true", help="run the long tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the long tests unless asked for them, and put the browser tests last.

    Playwright keeps an event loop running in the main thread: ``asyncio.run`` in a later test of
    the same process would refuse to start a second one.
    """
    items.sort(key=lambda item: "browser" in item.path.parts)
    _leave_out_long_tests(config, items)


def _leave_out_long_tests(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what is marked ``full``, unless ``--full`` or ``-m full`` was given."""
    long = [item for item in items if item.get_closest_marker("full")]
    if config.getoption("--full") or "full" in config.getoption("markexpr", ""):
        for item in long:
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(FULL_TIMEOUT))
    elif long:
        left_out = set(long)
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=long)


@pytest.fixture(scope="session")
def starter_model() -> Path:
    """The folder of the model that ships with the project."""
    assert (STARTER / "model_index.json").is_file(), "the shipped model is missing"
    return STARTER


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, starter_model: Path
) -> Iterator[RunningServer]:
    """One real server with the shipped model for all tests of the session."""
    running = start_server(tmp_path_factory.mktemp("server"))
    running.wait_until_ready()
    yield running
    stop_server(running)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """An installed Chromium or Chrome; ``launch.py test`` finds or installs one and names it."""
    named = os.environ.get("EASEL_CHROMIUM")
    candidates = [named, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
    for candidate in candidates:
        found = shutil.which(candidate) if candidate else None
        if found:
            return found
    pytest.skip("no Chromium or Chrome is installed: browser tests are skipped")
