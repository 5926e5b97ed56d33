"""Raw HTTP and WebSocket access to a running server: tests send what browsers cannot."""

from __future__ import annotations

import http.client
import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

SMALL = {"prompt": "a red apple", "steps": 3, "width": 64, "height": 64, "seed": 5}
SLOW = {**SMALL, "steps": 40}


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """HTTP with every header under the test's control."""

    def __init__(self, port: int) -> None:
        self.port = port

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        timeout: float = 120.0,
    ) -> Answer:
        """``body``: bytes as they are, anything else as JSON."""
        given = {"Host": f"127.0.0.1:{self.port}", **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            given.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        begun = time.perf_counter()
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            if body is not None or method in ("POST", "PUT"):
                given.setdefault("Content-Length", str(len(body or b"")))
            for name, value in given.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, content, time.perf_counter() - begun)
        finally:
            connection.close()

    def get(self, path: str, **more: Any) -> Answer:
        return self.send("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return self.send("POST", path, body, **more)

    def socket(self, **more: Any) -> ClientConnection:
        """A connection to the live channel."""
        return connect(f"ws://127.0.0.1:{self.port}/live/ws", max_size=2**24, **more)

    def submit(self, **fields: Any) -> str:
        """A job through the page's door; gives its id."""
        answer = self.post("/easel/v1/jobs", {**SMALL, **fields})
        assert answer.status == 200, answer.body
        return answer.json()["id"]

    def finished(self, job_id: str, seconds: float = 120.0) -> dict[str, Any]:
        """The job once it is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            job = self.get(f"/easel/v1/jobs/{job_id}").json()
            if job["state"] not in ("queued", "running"):
                return job
            time.sleep(0.05)
        raise AssertionError(f"job {job_id} did not end: {job['state']}")

    def idle(self, seconds: float = 120.0) -> None:
        """Return when nothing runs or waits."""
        end = time.monotonic() + seconds
        while self.get("/internal/pending-tasks").json()["size"]:
            assert time.monotonic() < end
            time.sleep(0.05)

    def rested(self, seconds: float = 120.0) -> None:
        """Return when the engine, too, knows that its last job is over."""
        self.idle(seconds)
        end = time.monotonic() + seconds
        while True:
            with self.socket() as socket:
                snapshot, _ = read_frame(socket.recv(timeout=10))
            if snapshot["engine"]["state"] == snapshot["model"]["state"] == "ready":
                return
            assert time.monotonic() < end
            time.sleep(0.05)


def read_frame(frame: str | bytes) -> tuple[dict[str, Any], bytes]:
    """A live message and, for previews, its picture."""
    if isinstance(frame, str):
        return json.loads(frame), b""
    (length,) = struct.unpack(">I", frame[:4])
    return json.loads(frame[4 : 4 + length]), frame[4 + length :]


@pytest.fixture
def client(server: Any) -> Iterator[Client]:
    """A client of the session's server; leaves nothing running behind."""
    found = Client(server.port)
    yield found
    found.post("/easel/v1/queue/resume")
    for line in found.get("/easel/v1/jobs?state=queued,running").json()["jobs"]:
        found.post(f"/easel/v1/jobs/{line['id']}/cancel")
    found.idle()
