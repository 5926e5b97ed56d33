"""A killed server comes back with its queue, and a full disk costs nobody a picture."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.conftest import ROOT, RunningServer, free_port, start_server, stop_server
from tests.support import faults
from tests.web.conftest import SMALL, Client

QUICK = ("--nowebui", "--skip-load-model-at-start")
ONE_STEP = {**SMALL, "steps": 1}
JOBS, KILLS = 1000, 20


def second_start(data: Path) -> subprocess.CompletedProcess[str]:
    """What becomes of another server over the same data."""
    command = [sys.executable, str(ROOT / "webui.py"), "--port", str(free_port()), "--data-dir"]
    return subprocess.run(
        [*command, str(data), "--no-browser", "--test-mode", *QUICK],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def kill(server: RunningServer) -> None:
    server.process.kill()
    server.process.wait()


def saved_files(data: Path, kind: str = "images") -> set[str]:
    return {str(path) for path in (data / f"outputs/txt2img-{kind}").rglob("*.png")}


def recorded(data: Path) -> list[str]:
    """Where the pictures of all jobs lie, as the queue knows it."""
    with closing(sqlite3.connect(data / "easel.sqlite")) as connection:
        query = "SELECT path FROM job_images WHERE kind = 'image' ORDER BY created"
        return [row[0] for row in connection.execute(query)]


def test_queued_and_running_jobs_survive_a_kill_and_are_each_delivered_once(tmp_path):
    data = tmp_path / "data"
    first = start_server(data)
    client = Client(first.port)
    ids = [client.submit(seed=-1, steps=3, n_iter=2)]
    ids += [client.submit(seed=n) for n in range(3)]
    seeds = client.get(f"/easel/v1/jobs/{ids[0]}").json()["parameters"]["all_seeds"]
    kill(first)
    again = start_server(data)
    try:
        client = Client(again.port)
        other = second_start(data)
        assert other.returncode == 1
        (sentence,) = other.stderr.strip().splitlines()[-1:]
        assert sentence.startswith("Another Easel is running with the data folder")
        assert "Traceback" not in other.stderr
        jobs = [client.finished(job_id) for job_id in ids]
        assert [job["state"] for job in jobs] == ["done"] * 4
        assert jobs[0]["parameters"]["all_seeds"] == seeds
        pictures = [image for image in jobs[0]["images"] if image["kind"] == "image"]
        assert [image["seed"] for image in pictures] == seeds
        assert all(client.get(image["url"]).status == 200 for image in pictures)
        assert client.post("/sdapi/v1/txt2img", SMALL).status == 200
        assert len(saved_files(data)) == 5
        assert saved_files(data) <= set(recorded(data))
        assert len(saved_files(data, "grids")) == 1
    finally:
        begun = time.monotonic()
        stop_server(again)
    assert time.monotonic() - begun < 20


class Sender(threading.Thread):
    """Submits jobs, whatever becomes of the server; remembers those that were acknowledged."""

    def __init__(self, count: int) -> None:
        super().__init__(daemon=True)
        self.count = count
        self.client: Client | None = None
        self.acknowledged: list[str] = []

    def run(self) -> None:
        while len(self.acknowledged) < self.count:
            client = self.client
            with suppress(OSError, AssertionError, AttributeError):
                seed = len(self.acknowledged)
                self.acknowledged.append(client.submit(**{**ONE_STEP, "seed": seed}))
                continue
            time.sleep(0.05)


@pytest.mark.full
@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_of_a_thousand_jobs_none_is_lost_or_made_twice_by_a_server_that_is_killed(tmp_path):
    chance, data = random.Random(5), tmp_path / "data"
    data.mkdir()
    options = {"max_queued_jobs": 10000, "max_queued_jobs_per_client": 10000}
    options |= {"queue_after_crash": "Resume", "live_previews_enable": False}
    (data / "config.json").write_text(json.dumps(options))
    sender = Sender(JOBS)
    for turn in range(KILLS):
        server = start_server(data, "--nowebui")
        sender.client = Client(server.port)
        if turn == 0:
            sender.start()
        server.wait_until_ready()
        time.sleep(6 * chance.random())
        kill(server)
    server = start_server(data, "--nowebui")
    sender.client = client = Client(server.port)
    try:
        sender.join(600)
        client.idle(1200)
        for line in client.get("/easel/v1/jobs?state=parked&limit=500").json()["jobs"]:
            client.post(f"/easel/v1/jobs/{line['id']}/retry")  # it ran at two kills
        client.idle(600)
        with closing(sqlite3.connect(data / "easel.sqlite")) as connection:
            states = dict(connection.execute("SELECT id, state FROM jobs"))
        assert len(set(sender.acknowledged)) == JOBS
        lost = [name for name in sender.acknowledged if states.get(name) != "done"]
        assert lost == []
        paths = recorded(data)
        assert len(paths) == len(set(paths)) == len(states)
        assert set(paths) == saved_files(data)
    finally:
        stop_server(server)


@pytest.mark.full
def test_on_a_full_disk_pictures_are_shown_and_the_queue_goes_on_when_there_is_room(
    tmp_path, monkeypatch
):
    data, full = tmp_path / "data", tmp_path / "full"
    for name, value in faults.environment(faults.build(tmp_path)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FAULTS_ROOT", str(data))
    monkeypatch.setenv("FAULTS_WHILE", str(full))
    server = start_server(data, "--nowebui")
    try:
        server.wait_until_ready()
        client = Client(server.port)
        running = client.submit(steps=40, n_iter=2)
        waiting = client.submit()
        while not client.get("/sdapi/v1/progress").json()["state"]["sampling_step"]:
            time.sleep(0.02)
        full.touch()
        job = client.finished(running)
        assert job["state"] == "done"
        pictures = [image for image in job["images"] if image["kind"] == "image"]
        assert len(pictures) == 2
        for image in pictures:
            assert not image["saved"]
            assert client.get(image["url"]).body.startswith(b"\x89PNG")
            assert client.get(image["url"] + "/download").status == 200
        state = client.get("/easel/v1/state").json()
        assert state["held"]["code"] == "disk_full"
        assert [notice["action"] for notice in state["notices"]] == ["go_on"]
        refused = client.post("/easel/v1/jobs", SMALL)
        assert (refused.status, refused.json()["error"]) == (507, "DiskFull")
        refused = client.send("PUT", "/easel/v1/settings", {"jpeg_quality": 33})
        assert refused.status == 507
        assert "config.json" in refused.json()["detail"]
        assert client.get("/sdapi/v1/options").json()["jpeg_quality"] == 80
        time.sleep(2)
        assert client.get(f"/easel/v1/jobs/{waiting}").json()["state"] == "queued"
        full.unlink()
        assert client.finished(waiting)["state"] == "done"
        home = [i for i in client.get(f"/easel/v1/jobs/{running}").json()["images"] if i["saved"]]
        assert {image["url"] for image in pictures} <= {image["url"] for image in home}
        assert len(saved_files(data)) == 3
        assert client.get("/easel/v1/state").json()["notices"] == []
        assert "Traceback" not in server.tail()
    finally:
        stop_server(server)
