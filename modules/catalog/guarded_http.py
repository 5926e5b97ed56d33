"""HTTP for downloads: every address that is connected to was checked, redirects included.

A host's name is looked up once and the connection goes to exactly that numeric address, so that a
name cannot change its meaning between check and use. Imported only where something is fetched.
"""

from __future__ import annotations

import contextlib
import socket
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from modules.requests.addresses import checked_url, is_public
from modules.requests.errors import RequestError

FIELD = "address"
ALLOWED = "allowed: an http:// or https:// address."
USER_AGENT = "Easel"
TIMEOUT = 30.0
MAX_REDIRECTS = 8
LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


@dataclass(frozen=True)
class AddressRules:
    """Where downloads may come from."""

    allow_private: bool = False
    """Also this machine and the local network."""


def open_client(rules: AddressRules | None, timeout: float = TIMEOUT) -> httpx.Client:
    """A client that follows redirects; without rules it goes anywhere, as for addresses of ours.

    With a proxy in the environment the proxy looks names up; numeric and local ones are refused
    before they get there.
    """
    if rules is None:
        return httpx.Client(follow_redirects=True, timeout=timeout)
    hooks = {"request": [lambda request: _check_request(request, rules)]}
    headers = {"User-Agent": USER_AGENT}
    common: dict[str, Any] = {
        "follow_redirects": True,
        "timeout": timeout,
        "max_redirects": MAX_REDIRECTS,
        "event_hooks": hooks,
        "headers": headers,
    }
    if any(urllib.request.getproxies().get(name) for name in ("http", "https", "all")):
        return httpx.Client(**common)
    return httpx.Client(transport=_guarded_transport(rules), **common)


def check_address(url: str, rules: AddressRules) -> None:
    """Refuse an address of the local network before anything is asked of it.

    Raises:
        RequestError: it is not allowed. A host that cannot be looked up is no reason.
    """
    _check_request(httpx.Request("GET", url), rules)
    parts = checked_url(url, FIELD, ALLOWED)
    with contextlib.suppress(httpcore.ConnectError):
        _resolved(parts.hostname or "", parts.port or 443, rules)


def _guarded_transport(rules: AddressRules) -> httpx.HTTPTransport:
    transport = httpx.HTTPTransport(trust_env=False)
    pool = transport._pool
    if not isinstance(getattr(pool, "_network_backend", None), httpcore.NetworkBackend):
        raise RuntimeError("this version of httpx cannot be told where to connect")
    pool._network_backend = _GuardedBackend(rules)
    return transport


class _GuardedBackend(httpcore.NetworkBackend):
    """Connects to the numeric address that was checked; TLS still proves the name."""

    def __init__(self, rules: AddressRules) -> None:
        self._rules = rules
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        address = _resolved(host, port, self._rules)
        return self._inner.connect_tcp(address, port, timeout, local_address, socket_options)


def _check_request(request: httpx.Request, rules: AddressRules) -> None:
    """Before each hop: a plain web address, and none of the local names that a proxy would reach.

    Raises:
        RequestError: it is not allowed.
    """
    parts = checked_url(str(request.url), FIELD, ALLOWED)
    host = (parts.hostname or "").rstrip(".").lower()
    if rules.allow_private:
        return
    numeric = ":" in host or host.replace(".", "").isdigit() or host.startswith("0x")
    local = host.endswith(LOCAL_NAMES) or not ("." in host or ":" in host)
    if local or (numeric and not is_public(host)):
        raise refused(host)


def _resolved(host: str, port: int, rules: AddressRules) -> str:
    """One numeric address of a host; all of its addresses must be public, unless rules say else.

    Raises:
        RequestError: one of them belongs to this machine or the local network.
        httpcore.ConnectError: there is no such host, or no network.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"the host {host} was not found") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not rules.allow_private and not all(is_public(address) for address in addresses):
        raise refused(host)
    return addresses[0]


def refused(host: str) -> RequestError:
    """What to say about an address of the local network."""
    return RequestError(
        FIELD,
        host,
        "addresses of this machine or the local network are not fetched "
        "(setting download_private_addresses).",
    )
