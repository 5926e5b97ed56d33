"""Pausing over HTTP, with the real engine: the picture is the one that it would have become."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import start_server, stop_server
from tests.web.conftest import SLOW, Client

ASKED = {**SLOW, "steps": 20, "width": 128, "height": 128, "sampler_name": "DPM++ 2M SDE"}


def pixels(client: Client, job: dict[str, Any]) -> np.ndarray:
    (image,) = (one for one in job["images"] if not one["is_grid"])
    return np.asarray(Image.open(io.BytesIO(client.get(image["url"]).body)))


def until_state(client: Client, job_id: str, state: str, seconds: float = 60) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while True:
        job = client.get(f"/easel/v1/jobs/{job_id}").json()
        if job["state"] == state:
            return job
        assert time.monotonic() < end, job["state"]
        time.sleep(0.02)


def until_step(client: Client, job_id: str, step: int) -> None:
    end = time.monotonic() + 120
    while client.get(f"/easel/v1/jobs/{job_id}/progress").json()["step"] < step:
        assert time.monotonic() < end
        time.sleep(0.02)


def paused_within(client: Client, job_id: str) -> dict[str, Any]:
    """Pause a job once it has made some steps."""
    until_step(client, job_id, 3)
    assert client.post(f"/easel/v1/jobs/{job_id}/pause").status == 200
    return until_state(client, job_id, "paused")


def test_a_paused_job_becomes_the_picture_that_it_would_have_been(client: Client) -> None:
    whole = client.finished(client.submit(**ASKED))
    job_id = client.submit(**ASKED)
    paused = paused_within(client, job_id)
    assert 0 < paused["progress"] < 1
    assert [line["id"] for line in client.get("/easel/v1/jobs?state=paused").json()["jobs"]] == [
        job_id
    ]
    other = client.finished(client.submit())  # the engine is free
    assert other["state"] == "done"
    assert client.get("/internal/pending-tasks").json()["size"] == 0
    assert client.post(f"/easel/v1/jobs/{job_id}/resume").status == 200
    done = client.finished(job_id)
    assert done["state"] == "done"
    assert np.array_equal(pixels(client, done), pixels(client, whole))


def test_pausing_says_what_it_cannot_do(client: Client) -> None:
    job_id = client.submit()
    client.finished(job_id)
    for act in ("pause", "resume", "first"):
        answer = client.post(f"/easel/v1/jobs/{job_id}/{act}")
        assert answer.status == 422, act
        assert "the job is done" in answer.json()["errors"]
        assert client.post(f"/easel/v1/jobs/none/{act}").status == 404
    assert client.post(f"/easel/v1/jobs/{job_id}/pause", {"when": "never"}).status == 422


@pytest.mark.full
@pytest.mark.parametrize("ending", ["kill", "terminate"])
def test_a_job_goes_on_after_the_end_of_the_server(
    tmp_path: Path, starter_model: Path, ending: str
) -> None:
    """Killed while the job is paused; ended in good order while it runs."""
    server = start_server(tmp_path)
    try:
        server.wait_until_ready()
        client = Client(server.port)
        asked = {**ASKED, "steps": 60}
        expected = pixels(client, client.finished(client.submit(**asked)))
        job_id = client.submit(**asked)
        if ending == "kill":
            paused_within(client, job_id)
        else:
            until_step(client, job_id, 5)
        getattr(server.process, ending)()
        server.process.wait()
        (state,) = (tmp_path / "paused").iterdir()
        assert state.stat().st_size < 100_000
        server = start_server(tmp_path)
        client = Client(server.port)
        if ending == "kill":
            assert client.get(f"/easel/v1/jobs/{job_id}").json()["state"] == "paused"
            client.post(f"/easel/v1/jobs/{job_id}/resume")
        until_state(client, job_id, "done", 300)
        assert np.array_equal(pixels(client, client.finished(job_id)), expected)
        assert not list((tmp_path / "paused").iterdir())
    finally:
        stop_server(server)
