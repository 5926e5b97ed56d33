"""Pictures from addresses: only what the settings allow, never this machine by a back door."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
import time

import pytest

from modules.jobs import fetching
from modules.jobs.fetching import FetchRules, fetch_picture, is_address
from modules.requests.addresses import is_public
from modules.requests.errors import RequestError
from modules.settings.tables import build_table

PUBLIC = FetchRules(enabled=True)
OPEN = FetchRules(enabled=True, forbid_local=False, user_agent="test/1")


class Handler(http.server.BaseHTTPRequestHandler):
    seen: list[str] = []  # noqa: RUF012 - the test's own list

    def do_GET(self) -> None:
        self.seen.append(self.headers["User-Agent"])
        if self.path == "/leads":
            self._send(302, b"", Location="/picture")
        elif self.path == "/loop":
            self._send(302, b"", Location="/loop")
        elif self.path == "/file":
            self._send(302, b"", Location="file:///etc/passwd")
        elif self.path == "/picture":
            self._send(200, b"picture bytes")
        elif self.path == "/drip":
            with contextlib.suppress(OSError):
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
                for _ in range(100):
                    self.wfile.write(b"x")
                    time.sleep(0.05)
        elif self.path == "/large":
            self._send(200, b"x" * 5000)
        else:
            self._send(404, b"")

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return None


@pytest.fixture(scope="module")
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_picture_is_fetched_over_redirects_with_the_user_agent(site):
    assert fetch_picture(f"{site}/leads", "image", OPEN) == b"picture bytes"
    assert Handler.seen[-1] == "test/1"


@pytest.mark.parametrize("path", ["/gone", "/loop", "/file"])
def test_what_does_not_lead_to_a_picture_is_refused(site, path):
    with pytest.raises(RequestError) as caught:
        fetch_picture(site + path, "mask", OPEN)
    assert caught.value.field == "mask"


def test_too_many_bytes_are_refused(site, monkeypatch):
    monkeypatch.setattr(fetching, "MAX_BYTES", 1000)
    with pytest.raises(RequestError, match="more than"):
        fetch_picture(f"{site}/large", "image", OPEN)


def test_a_server_that_sends_its_headers_byte_by_byte_is_left(site, monkeypatch):
    monkeypatch.setattr(fetching, "SECONDS", 0.3)
    with pytest.raises(RequestError, match="did not answer within"):
        fetch_picture(f"{site}/drip", "image", OPEN)


def test_nothing_is_fetched_unless_it_was_switched_on(site):
    before = len(Handler.seen)
    for rules in (
        FetchRules(),
        FetchRules.from_options(build_table().defaults()),
        FetchRules.from_options({}),
    ):
        with pytest.raises(RequestError, match="api_enable_requests"):
            fetch_picture(f"{site}/picture", "image", rules)
    assert len(Handler.seen) == before


def test_this_machine_is_refused_by_default(site):
    before = len(Handler.seen)
    with pytest.raises(RequestError, match="local network"):
        fetch_picture(f"{site}/picture", "image", PUBLIC)
    with pytest.raises(RequestError, match="local network"):
        fetch_picture(f"http://localhost:{site.rpartition(':')[2]}/", "image", PUBLIC)
    assert len(Handler.seen) == before


def test_fetching_can_be_switched_off(site):
    with pytest.raises(RequestError, match="api_enable_requests"):
        fetch_picture(f"{site}/picture", "image", FetchRules(enabled=False))


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.8", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1"),
        *("64:ff9b::7f00:1", "2002:7f00:1::", "::", "nonsense"),
    ],
)
def test_addresses_that_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_that_are_public(address):
    assert is_public(address)


def test_a_name_with_one_private_address_is_refused(monkeypatch):
    def both(*_: object, **__: object) -> list:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 80)) for ip in ("8.8.8.8", "10.0.0.1")
        ]

    monkeypatch.setattr(fetching.socket, "getaddrinfo", both)
    with pytest.raises(RequestError, match="local network"):
        fetch_picture("http://two-faced.test/x.png", "image", PUBLIC)


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://host/x", "http://", "http://[", "http://user:pw@host/x"),
        *("http://host:0/x", "gopher://host/", "http://ho st/"),
    ],
)
def test_addresses_that_are_none_are_refused(url):
    assert is_address(url)
    with pytest.raises(RequestError):
        fetch_picture(url, "image", OPEN)


@pytest.mark.parametrize("text", ["data:image/png;base64,AAAA", "iVBORw0KGgo", "input:0"])
def test_pictures_are_no_addresses(text):
    assert not is_address(text)
