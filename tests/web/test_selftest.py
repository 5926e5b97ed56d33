"""The self-test beside a running server."""

from __future__ import annotations

import time

import pytest

from modules.settings.flags import parse_flags
from modules.settings.paths import Paths
from modules.web.selftest import SelfTest
from tests.web.conftest import Client


@pytest.fixture
def selftest(tmp_path):
    flags = parse_flags(["--data-dir", str(tmp_path), "--use-cpu", "all"])
    heard = []
    made = SelfTest(Paths.from_flags(flags), flags, heard.append)
    made.heard = heard
    yield made
    made.stop()


def ended(selftest, seconds=300):
    end = time.monotonic() + seconds
    while selftest.to_json()["state"] == "running":
        assert time.monotonic() < end
        time.sleep(0.05)
    return selftest.to_json()


def test_a_run_fills_the_table_and_leaves_nothing_behind(selftest, tmp_path):
    assert selftest.to_json()["state"] == "never"
    assert selftest.start(only=["save", "errors"])
    assert not selftest.start()
    found = ended(selftest)
    assert found["state"] == "done", found
    assert {row["group"] for row in found["rows"]} == {"engine", "save", "errors"}
    assert {row["state"] for row in found["rows"]} == {"ok"}, found["rows"]
    assert selftest.heard[-1]["done"] == found["total"] == len(found["rows"])
    assert not list((tmp_path / "cache").glob("selftest*"))
    assert not selftest.stop()


def test_a_process_that_dies_is_told(selftest):
    selftest._command = lambda folder, only: ["python3", "-c", "raise SystemExit('no engine here')"]
    selftest.start()
    found = ended(selftest)
    assert found["state"] == "broken"
    assert found["error"] == "The self-test ended before its end: no engine here."


def test_a_run_can_be_stopped(client: Client):
    assert client.post("/easel/v1/selftest").json()["state"] == "running"
    assert client.post("/easel/v1/selftest").status == 409
    assert client.post("/easel/v1/selftest/stop").json() == {"stopped": True}
    assert client.get("/easel/v1/selftest").json()["state"] == "stopped"
    assert client.post("/easel/v1/selftest/stop").json() == {"stopped": False}


@pytest.mark.full
def test_every_capability_works(selftest):
    selftest.start()
    found = ended(selftest, 900)
    assert [row for row in found["rows"] if row["state"] == "failed"] == []
    assert found["state"] == "done"
    assert {row["name"] for row in found["rows"] if row["state"] == "skipped"} <= {
        "GFPGAN",
        "CodeFormer",
    }
