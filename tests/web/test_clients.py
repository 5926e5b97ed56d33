"""One client cannot take the server from the others: rates, shares, bodies and slow connections."""

from __future__ import annotations

import socket
import threading
import time

import pytest
import uvicorn

from modules.settings.flags import parse_flags
from modules.web import patience
from modules.web.app import create_app
from modules.web.compose import build_context
from modules.web.gate import Gate
from modules.web.gate.body import BodyGuard
from modules.web.gate.clients import MAX_CLIENTS, ClientLimits, Clients
from modules.web.gate.refusal import Refused
from tests.conftest import free_port
from tests.support.coroutines import finish
from tests.web.test_gate import LOCAL, config

FAR, HERE = "192.0.2.7", "127.0.0.1"


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def clients(clock=None, **limits):
    return Clients(ClientLimits(**limits), now=clock or Clock())


def test_a_client_may_send_a_burst_and_then_so_many_a_second():
    clock = Clock()
    counted = clients(clock, per_second=10, burst=5)
    for _ in range(5):
        with counted.request(FAR):
            pass
    with pytest.raises(Refused) as caught, counted.request(FAR):
        pass
    assert caught.value.status == 429
    assert (b"retry-after", b"1") in caught.value.headers
    with counted.request("192.0.2.8"):
        pass
    clock.now += 0.1
    with counted.request(FAR):
        pass


def test_this_machine_is_not_slowed_down():
    counted = clients(per_second=1, burst=1, at_once=1, sockets=1)
    for _ in range(50):
        with counted.request(HERE), counted.request("::1"), counted.socket(HERE):
            pass


def test_a_client_has_so_many_requests_and_sockets_at_a_time():
    counted = clients(at_once=2, sockets=1)
    with counted.request(FAR), counted.request(FAR):
        with pytest.raises(Refused), counted.request(FAR):
            pass
        with counted.request("192.0.2.8"):
            pass
    with counted.request(FAR):
        pass
    with counted.socket(FAR), pytest.raises(Refused), counted.socket(FAR):
        pass
    with counted.socket(FAR):
        pass


def test_a_request_that_fails_gives_its_place_back():
    counted = clients(at_once=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), counted.request(FAR):
            raise ZeroDivisionError
    with counted.request(FAR):
        pass


def test_clients_that_went_away_are_forgotten_and_those_at_work_are_not():
    counted = clients(at_once=1)
    with counted.request(FAR):
        for number in range(MAX_CLIENTS + 500):
            with counted.request(f"10.1.{number // 250}.{number % 250}"):
                pass
        assert len(counted._buckets) <= MAX_CLIENTS
        with pytest.raises(Refused), counted.request(FAR):
            pass


def test_bodies_of_all_clients_share_one_memory():
    counted = clients(buffered_bytes=1000)

    def guard():
        async def receive():
            return {"type": "http.request", "body": b"x" * 600, "more_body": True}

        return BodyGuard(receive, 10_000, 5, counted)

    async def run():
        first, second = guard(), guard()
        assert (await first.receive())["type"] == "http.request"
        assert (await second.receive())["type"] == "http.disconnect"
        assert second.violation[0] == 429
        assert second.violation[2] == ((b"retry-after", b"5"),)
        second.close()
        first.close()
        third = guard()
        assert (await third.receive())["type"] == "http.request"
        third.close()

    finish(run())
    assert counted.buffered == 0


def test_every_request_gives_its_memory_back_however_it_ends():
    async def broken(scope, receive, send):
        await receive()
        raise ZeroDivisionError

    gate = Gate(broken, config())
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/x",
        "query_string": b"",
        "scheme": "http",
        "client": (FAR, 5),
        "headers": [(k.encode(), v.encode()) for k, v in LOCAL.items()],
    }

    async def receive():
        return {"type": "http.request", "body": b"x" * 100, "more_body": False}

    async def send(message):
        pass

    with pytest.raises(ZeroDivisionError):
        finish(gate(scope, receive, send))
    assert gate.clients.buffered == 0
    assert gate.clients._buckets[FAR].open_requests == 0


@pytest.fixture
def port(monkeypatch):
    """A server with short patience; every connection counts as one from elsewhere."""
    monkeypatch.setattr(patience, "HEADER_SECONDS", 0.6)
    monkeypatch.setattr(patience, "STALLED_SECONDS", 0.6)
    monkeypatch.setattr(patience, "MAX_OF_ONE", 4)
    monkeypatch.setattr(patience, "is_this_machine", lambda address: False)

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        size = 64 * 1024 * 1024 if scope["path"] == "/large" else 2
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(max(1, size // 65536)):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    chosen = free_port()
    server = uvicorn.Server(
        uvicorn.Config(
            app, port=chosen, http=patience.PatientProtocol, lifespan="off", log_config=None
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < end
        time.sleep(0.02)
    yield chosen
    server.should_exit = True
    thread.join(10)


def opened(port, text=b""):
    made = socket.create_connection(("127.0.0.1", port), timeout=10)
    made.sendall(text)
    return made


def closed_after(made):
    """Seconds until the other side closes a connection."""
    begun = time.monotonic()
    try:
        while made.recv(65536):
            pass
    except OSError:
        pass
    return time.monotonic() - begun


def test_headers_that_never_end_are_given_up(port):
    silent = opened(port)
    started = opened(port, b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    assert closed_after(started) < 3
    assert closed_after(silent) < 3


def test_a_client_that_drips_its_headers_gains_no_time(port):
    made = opened(port, b"GET / HTTP/1.1\r\n")
    begun = time.monotonic()
    with pytest.raises(OSError):
        while time.monotonic() < begun + 8:
            made.sendall(b"X: y\r\n")
            time.sleep(0.1)
    assert time.monotonic() - begun < 4


def test_a_client_that_does_not_read_is_given_up(port):
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.settimeout(10)
    made.connect(("127.0.0.1", port))
    made.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    time.sleep(2.0)
    received = 0
    try:
        while part := made.recv(65536):
            received += len(part)
    except ConnectionError:
        pass
    assert received < 64 * 1024 * 1024


def test_one_client_has_so_many_connections(port):
    kept = [opened(port) for _ in range(4)]
    refused = opened(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert closed_after(refused) < 0.5
    for made in kept:
        made.close()
    time.sleep(0.2)
    answered = opened(port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answered.recv(8) == b"HTTP/1.1"


def test_the_settings_bound_requests(tmp_path):
    flags = parse_flags(["--data-dir", str(tmp_path), "--nowebui", "--no-hashing"])
    context = build_context(flags)
    try:
        context.options.set_many({"max_request_mb": 2, "max_requests_per_second": 5})
        gate = create_app(context)
        assert gate.config.max_body_bytes == 2 * 1024 * 1024
        assert gate.clients.limits.per_second == 5
        assert gate.clients.limits.burst == 50
    finally:
        context.jobs.stop()
        context.lock.release()
