"""The program ends without a complaint, asked by Ctrl+C or by the API."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RunningServer, start_server, stop_server

QUICK = ("--nowebui", "--skip-load-model-at-start")


@pytest.fixture
def stoppable(tmp_path: Path) -> Iterator[RunningServer]:
    running = start_server(tmp_path / "data", *QUICK, "--api-server-stop")
    yield running
    stop_server(running)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_the_server_without_a_traceback(stoppable: RunningServer) -> None:
    stoppable.process.send_signal(signal.SIGINT)
    assert stoppable.process.wait(timeout=60) == 0
    assert "Traceback" not in stoppable.tail()


def test_the_api_ends_the_server_where_that_is_allowed(stoppable: RunningServer) -> None:
    assert stoppable.post("/sdapi/v1/server-stop") == "Stopping."
    assert stoppable.process.wait(timeout=60) == 0
    assert "Traceback" not in stoppable.tail()
