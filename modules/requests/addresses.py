"""Which network addresses belong to the open internet."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from modules.requests.errors import RequestError


def is_public(address: str) -> bool:
    """Whether a numeric IP address belongs to the open internet, whatever its notation."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def checked_url(url: str, field: str, allowed: str) -> SplitResult:
    """The parts of an `http` or `https` address; `allowed` ends the sentence for anything else.

    Raises:
        RequestError: it is no such address, or carries a user name.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise RequestError(field, url, "it is no valid address.") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or port == 0:
        raise RequestError(field, url, allowed)
    if parts.username is not None or parts.password is not None:
        raise RequestError(field, url, "addresses with a user name are not fetched.")
    if re.search(r"[\x00-\x20\x7f]", url.strip()):
        raise RequestError(field, url, "it is no valid address.")
    return parts
