"""A killed server comes back with its queue."""

from __future__ import annotations

import time

from tests.conftest import start_server, stop_server
from tests.web.conftest import SMALL, Client


def test_queued_and_running_jobs_survive_a_kill_and_finish_after_a_restart(tmp_path):
    first = start_server(tmp_path / "data")
    client = Client(first.port)
    ids = [client.submit(seed=-1, steps=3, n_iter=2)]
    ids += [client.submit(seed=n) for n in range(3)]
    seeds = client.get(f"/easel/v1/jobs/{ids[0]}").json()["parameters"]["all_seeds"]
    first.process.kill()
    first.process.wait()
    again = start_server(tmp_path / "data")
    try:
        client = Client(again.port)
        jobs = [client.finished(job_id) for job_id in ids]
        assert [job["state"] for job in jobs] == ["done"] * 4
        assert jobs[0]["parameters"]["all_seeds"] == seeds
        pictures = [image for image in jobs[0]["images"] if image["kind"] == "image"]
        assert [image["seed"] for image in pictures] == seeds
        assert all(client.get(image["url"]).status == 200 for image in pictures)
        assert client.post("/sdapi/v1/txt2img", SMALL).status == 200
    finally:
        begun = time.monotonic()
        stop_server(again)
    assert time.monotonic() - begun < 20
