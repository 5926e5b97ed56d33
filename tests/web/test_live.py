"""The live channel: a page that comes late, or comes back, knows everything at once."""

from __future__ import annotations

import time

import pytest
from websockets.exceptions import InvalidStatus

from tests.web.conftest import SLOW, read_frame


def until(socket, wanted, seconds=60):
    """All messages up to the first that ``wanted`` takes."""
    found, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        found.append(read_frame(socket.recv(timeout=seconds)))
        if wanted(found[-1][0]):
            return found
    raise AssertionError("the message did not come")


def test_the_first_message_is_a_snapshot_and_comes_at_once(client):
    client.rested()
    with client.socket() as socket:
        begun = time.perf_counter()
        snapshot, _ = read_frame(socket.recv(timeout=10))
        assert time.perf_counter() - begun < 1.0
    assert snapshot["type"] == "snapshot"
    assert (snapshot["queue"], snapshot["running"], snapshot["paused"]) == ([], None, False)
    assert snapshot["model"]["state"] == "ready"
    assert snapshot["engine"]["state"] == "ready"


def test_a_job_is_told_from_the_queue_to_its_pictures(client):
    with client.socket() as socket:
        job_id = client.submit(**SLOW, batch_size=2)
        found = until(socket, lambda m: m["type"] == "job" and m["job"]["state"] == "done")
    kinds = [message["type"] for message, _ in found]
    assert kinds[0] == "snapshot"
    assert {"queue", "job", "progress", "preview", "image"} <= set(kinds)
    steps = [m["step"] for m, _ in found if m["type"] == "progress" and m["job"] == job_id]
    assert steps == sorted(steps)
    assert steps[-1] == 40
    previews = [(m, blob) for m, blob in found if m["type"] == "preview"]
    assert all(blob.startswith((b"\xff\xd8", b"\x89PNG", b"RIFF")) for _, blob in previews)
    numbers = [m["preview_id"] for m, _ in previews]
    assert numbers == sorted(set(numbers))
    done = found[-1][0]["job"]
    told = {m["image"]["id"] for m, _ in found if m["type"] == "image"}
    assert told == {image["id"] for image in done["images"]}


def test_a_page_that_is_loaded_again_finds_the_running_job_and_its_preview(client):
    job_id = client.submit(**SLOW, n_iter=5)
    while client.get(f"/easel/v1/jobs/{job_id}/preview").status != 200:
        time.sleep(0.02)
    begun = time.perf_counter()
    with client.socket() as socket:
        snapshot, _ = read_frame(socket.recv(timeout=10))
        header, picture = read_frame(socket.recv(timeout=10))
        assert time.perf_counter() - begun < 3.0
        assert snapshot["running"]["job"] == job_id
        assert snapshot["queue"][0]["state"] == "running"
        assert (header["type"], header["job"]) == ("preview", job_id)
        assert len(picture) > 100


def test_waiting_jobs_and_a_pause_are_told(client):
    with client.socket() as socket:
        client.post("/easel/v1/queue/pause")
        until(socket, lambda m: m["type"] == "queue" and m["paused"])
        job_id = client.submit()
        (*_, (queue, _)) = until(socket, lambda m: m["type"] == "queue" and m["jobs"])
        assert [line["id"] for line in queue["jobs"]] == [job_id]
        client.post("/easel/v1/queue/resume")
        until(socket, lambda m: m["type"] == "job" and m["job"]["state"] == "done")


def test_changed_settings_are_told_to_every_page(client):
    with client.socket() as first, client.socket() as second:
        client.send("PUT", "/easel/v1/settings", {"jpeg_quality": 61})
        for socket in (first, second):
            (*_, (message, _)) = until(socket, lambda m: m["type"] == "options")
            assert message["changed"] == {"jpeg_quality": 61}
    client.post("/easel/v1/settings/reset", {"keys": ["jpeg_quality"]})


def test_the_channel_answers_pings_and_takes_nothing_else(client):
    with client.socket() as socket:
        socket.recv(timeout=10)
        socket.send('{"type": "ping"}')
        assert read_frame(socket.recv(timeout=10))[0] == {"type": "pong"}
        socket.send("no json")
        socket.send('{"type": "interrupt"}')
        socket.send('{"type": "ping"}')
        assert read_frame(socket.recv(timeout=10))[0] == {"type": "pong"}


@pytest.mark.parametrize("origin", ["https://evil.test", "null", "http://localhost:3000"])
def test_other_websites_get_no_socket(client, origin):
    with pytest.raises(InvalidStatus), client.socket(origin=origin):
        pass


def test_our_own_page_gets_one(client):
    with client.socket(origin=f"http://127.0.0.1:{client.port}") as socket:
        assert read_frame(socket.recv(timeout=10))[0]["type"] == "snapshot"
