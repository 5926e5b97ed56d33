"""Pictures from web addresses, for API clients that send a URL instead of the picture.

The host's name is looked up once and the connection goes to exactly the address that was checked,
so a name cannot change its meaning between check and use. Every redirect is checked again.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urljoin

from modules.requests.addresses import checked_url, is_public
from modules.requests.errors import RequestError

MAX_BYTES = 64 * 1024 * 1024
SECONDS = 20.0
"""For the whole fetch, redirects included."""
MAX_REDIRECTS = 3
USER_AGENT = "Easel"
ALLOWED = "allowed: a picture as base64, or an http:// or https:// address."
_PIECE = 64 * 1024
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class FetchRules:
    """What the settings allow."""

    enabled: bool = False
    forbid_local: bool = True
    user_agent: str = ""

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> FetchRules:
        """A1111's three ``api_*`` settings."""
        return cls(
            bool(options.get("api_enable_requests", False)),
            bool(options.get("api_forbid_local_requests", True)),
            str(options.get("api_useragent") or ""),
        )


def is_address(text: str) -> bool:
    """Whether a picture field holds an address instead of a picture."""
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", text.lstrip()[:32]) is not None


def fetch_picture(url: str, field: str, rules: FetchRules) -> bytes:
    """The bytes behind an ``http`` or ``https`` address.

    Raises:
        RequestError: not allowed, not reachable, too large, too slow, or not found.
    """
    if not rules.enabled:
        raise RequestError(
            field, url, "addresses are not fetched (setting api_enable_requests); send the picture."
        )
    deadline = time.monotonic() + SECONDS
    for _ in range(MAX_REDIRECTS + 1):
        parts = checked_url(url, field, ALLOWED)
        address = _resolved(parts, field, rules)
        try:
            answer, target = _get(parts, address, rules, deadline)
        except _TooLargeError:
            limit = MAX_BYTES // (1024 * 1024)
            raise RequestError(field, url, f"the file has more than {limit} MB.") from None
        except TimeoutError:
            raise RequestError(
                field, url, f"the address did not answer within {SECONDS:g} seconds."
            ) from None
        except (OSError, http.client.HTTPException, ssl.SSLError, ValueError):
            raise RequestError(field, url, "the address could not be read.") from None
        if target is None:
            return answer
        url = urljoin(url, target)
    raise RequestError(field, url, f"the address leads on more than {MAX_REDIRECTS} times.")


class _TooLargeError(Exception):
    """More bytes than allowed."""


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme.lower() == "https" else 80)


def _resolved(parts: SplitResult, field: str, rules: FetchRules) -> str:
    """One numeric address of the host; with ``forbid_local`` all of its addresses must be public.

    A name with one public and one private address is refused whole.
    """
    host = parts.hostname or ""
    try:
        found = socket.getaddrinfo(host, _port(parts), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise RequestError(field, host, "the address's host is not known.") from None
    addresses = [str(entry[4][0]) for entry in found]
    if rules.forbid_local and not all(is_public(address) for address in addresses):
        raise RequestError(
            field,
            host,
            "addresses of this machine or the local network are not fetched "
            "(setting api_forbid_local_requests).",
        )
    return addresses[0]


def _get(
    parts: SplitResult, address: str, rules: FetchRules, deadline: float
) -> tuple[bytes, str | None]:
    """The body, or the address that a redirect names."""
    left = max(0.1, deadline - time.monotonic())
    connection = _Pinned(parts, address, left)
    # The timeout of a socket is for each read alone: a server may send its headers byte by byte.
    alarm = threading.Timer(left, connection.hang_up)
    alarm.daemon = True
    alarm.start()
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {
        "User-Agent": rules.user_agent or USER_AGENT,
        "Accept": "image/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    try:
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        if answer.status in _REDIRECTS and answer.getheader("Location"):
            return b"", answer.getheader("Location")
        if answer.status != 200:
            raise ValueError(f"status {answer.status}")
        return _body(answer, deadline), None
    except (OSError, http.client.HTTPException, ValueError):
        if time.monotonic() > deadline:
            raise TimeoutError from None
        raise
    finally:
        alarm.cancel()
        connection.close()


def _body(answer: http.client.HTTPResponse, deadline: float) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        piece = answer.read1(_PIECE)
        if time.monotonic() > deadline:  # also where the end came because we hung up
            raise TimeoutError
        if not piece:
            return b"".join(pieces)
        size += len(piece)
        if size > MAX_BYTES:
            raise _TooLargeError
        pieces.append(piece)


class _Pinned(http.client.HTTPConnection):
    """A connection to one numeric address under the host's name; never through a proxy."""

    def __init__(self, parts: SplitResult, address: str, timeout: float) -> None:
        super().__init__(parts.hostname or "", _port(parts), timeout=timeout)
        self._address = address
        self._secure = parts.scheme.lower() == "https"
        self.default_port = 443 if self._secure else 80

    def connect(self) -> None:
        """Connect to the checked address; TLS still proves the name."""
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._secure:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)

    def hang_up(self) -> None:
        """End whatever is being waited for."""
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
