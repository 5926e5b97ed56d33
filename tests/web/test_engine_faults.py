"""An engine that dies, hangs, or cannot go on: the server stays, the job says why, the next works.

Real signals, a real memory limit and real weights that overflow, through the HTTP interface.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.conftest import RunningServer
from tests.web.conftest import SMALL, Client

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX"),
    pytest.mark.timeout(900),
]
PATIENCE = 400.0
"""Seconds: a new engine imports torch first, which takes minutes on a machine full of others."""

LONG = {**SMALL, "steps": 150}
DEATHS = 100


def engine_of(server: RunningServer) -> psutil.Process:
    """The engine's process; waits for the next one when the last has just died."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for child in psutil.Process(server.process.pid).children():
            try:
                if "modules.engine.process" in child.cmdline():
                    return child
            except psutil.Error:
                continue  # it ended meanwhile
        time.sleep(0.05)
    raise AssertionError("there is no engine")


def until_steps(client: Client, job: str) -> None:
    """Return when the engine samples for this job."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        brief = client.get(f"/easel/v1/jobs/{job}").json()
        assert brief["state"] in ("queued", "running"), brief
        progress = client.get("/sdapi/v1/progress?skip_current_image=true").json()
        if brief["state"] == "running" and progress["state"]["sampling_step"] > 0:
            return
        time.sleep(0.02)
    raise AssertionError("the job did not begin")


def works(client: Client) -> None:
    """The next job is done."""
    job = client.finished(client.submit(), PATIENCE)
    assert job["state"] == "done", job["error"]


@pytest.fixture
def watched(server: RunningServer) -> Iterator[RunningServer]:
    """The session's server, which must be the same process afterwards."""
    yield server
    assert server.process.poll() is None
    client = Client(server.port)
    client.post("/sdapi/v1/options", {"engine_stall_seconds": 60})
    client.rested(PATIENCE)


@pytest.mark.full
@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_job_whose_engine_dies_is_made_again_and_done(watched, client, name):
    job = client.submit(steps=80)
    until_steps(client, job)
    engine = engine_of(watched)
    engine.send_signal(getattr(signal, name))
    done = client.finished(job, PATIENCE)
    assert done["state"] == "done", done
    assert len(done["images"]) == 1
    assert engine_of(watched).pid != engine.pid
    works(client)


def test_a_job_that_ends_the_engine_twice_is_parked_with_the_reason(watched, client):
    job = client.submit(**LONG)
    for death in (signal.SIGSEGV, signal.SIGABRT):
        until_steps(client, job)
        engine = engine_of(watched)
        engine.send_signal(death)
        engine.wait(60)
    parked = client.finished(job, PATIENCE)
    assert parked["state"] == "parked", parked
    assert "SIGABRT, native code gave up" in parked["error"]
    works(client)


@pytest.mark.full
def test_an_engine_that_hangs_is_replaced(watched, client):
    client.post("/sdapi/v1/options", {"engine_stall_seconds": 1})
    job = client.submit(steps=80)
    until_steps(client, job)
    engine = engine_of(watched)
    engine.suspend()
    done = client.finished(job, PATIENCE)
    assert done["state"] == "done", done
    assert not engine.is_running()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prlimit is Linux's")
@pytest.mark.full
def test_a_job_that_needs_more_memory_than_there_is_says_so_and_the_next_one_works(watched, client):
    works(client)
    engine = engine_of(watched)
    before = engine.rlimit(resource.RLIMIT_AS)
    engine.rlimit(resource.RLIMIT_AS, (engine.memory_info().vms + 16 * 2**20, before[1]))
    try:
        job = client.finished(client.submit(width=768, height=768, steps=1), PATIENCE)
    finally:
        if engine.is_running():
            engine.rlimit(resource.RLIMIT_AS, before)
    # Either the memory ladder found a way, or there was none: both are told.
    assert job["state"] in ("done", "failed", "parked"), job
    told = " ".join([job["error"] or "", *job["warnings"]])
    assert "memory" in told.lower(), job
    works(client)
    other = client.finished(client.submit(width=96, height=96), PATIENCE)
    assert other["state"] == "done", other["error"]  # no size was spoilt


def test_weights_that_overflow_fail_the_job_with_a_reason_and_the_next_one_works(watched, client):
    name = overflowing_checkpoint(watched)
    client.post("/sdapi/v1/refresh-checkpoints")
    answer = client.post(
        "/sdapi/v1/txt2img", {**SMALL, "override_settings": {"sd_model_checkpoint": name}}
    )
    assert answer.status in (422, 500), answer.body
    assert "NaN" in answer.json()["detail"] or "numbers" in answer.json()["detail"], answer.body
    works(client)


def overflowing_checkpoint(server: RunningServer) -> str:
    """A whole, finite checkpoint whose network gives infinite numbers."""
    import torch

    from tests.support.tiny_models import tiny_components, tiny_sd

    made = tiny_components()
    with torch.no_grad():
        for weight in made.unet.conv_in.parameters():
            weight.fill_(3e38)
    folder = server.data_dir / "models" / "Stable-diffusion"
    tiny_sd(folder, name="overflow", dtype="float32", components=made, with_tokenizer=False)
    return "overflow"


@pytest.mark.full
def test_a_hundred_deaths_of_the_engine_lose_nothing(watched, client):
    """Killed in every way at random moments, asleep or at work; every job ends as it should."""
    chance = random.Random(7)
    jobs: dict[str, int] = {}
    back: list[float] = []
    for number in range(DEATHS):
        job = client.submit(steps=chance.randint(1, 60), seed=number)
        jobs[job] = number
        time.sleep(chance.uniform(0, 1.0))
        engine = engine_of(watched)
        engine.send_signal(chance.choice((signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)))
        begun = time.monotonic()
        ended: dict[str, Any] = client.finished(job, PATIENCE)
        assert ended["state"] in ("done", "parked"), ended
        back.append(time.monotonic() - begun)
        assert watched.process.poll() is None
    assert os.getpgid(watched.process.pid)
    states = [client.get(f"/easel/v1/jobs/{job}").json() for job in jobs]
    assert all(len(one["images"]) == 1 for one in states if one["state"] == "done")
    middle, longest = sorted(back)[DEATHS // 2], max(back)
    sys.stdout.write(f"picture after a death: median {middle:.1f} s, longest {longest:.1f} s\n")
    works(client)
