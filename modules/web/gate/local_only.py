"""Routes that this machine alone may use: installing an extension is running its maker's code.

The peer's address says nothing behind a proxy on the same machine, so that what a proxy adds to a
request refuses it, and so does any name but a loopback one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from modules.web.gate.addresses import is_this_machine
from modules.web.gate.origins import SAFE_METHODS

PREFIX = "/easel/v1/extensions"
FLAG = "--enable-insecure-extension-access"

PROXIES = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "cf-ray",
    "fly-client-ip",
    "ngrok-auth-user-email",
    "tailscale-user-login",
)
"""Headers that proxies and tunnels add and browsers never send."""


def refuses(method: str, path: str, peer: str, headers: Mapping[str, str]) -> str:
    """Why a request must not change extensions; empty when it may, or does nothing of the kind."""
    if method in SAFE_METHODS or not (path == PREFIX or path.startswith(f"{PREFIX}/")):
        return ""
    if not is_this_machine(peer):
        return f"extensions are changed from this machine alone (or with {FLAG})"
    if any(name in headers for name in PROXIES):
        return f"extensions are not changed through a proxy (or with {FLAG})"
    if not _is_loopback(headers.get("host", "")):
        return f"extensions are changed at a loopback address, as 127.0.0.1 (or with {FLAG})"
    origin = headers.get("origin")
    if origin is not None and not _is_loopback(origin.partition("://")[2]):
        return f"extensions are changed by this page alone (or with {FLAG})"
    return ""


def _is_loopback(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
