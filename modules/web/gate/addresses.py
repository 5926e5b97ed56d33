"""What a peer's address says: which client it stands for, and whether that is this machine."""

from __future__ import annotations

import ipaddress


def network(address: str) -> str:
    """What stands for one client: an IPv4 address, or the /64 that an IPv6 host owns whole."""
    parsed = _parse(address)
    if parsed is None:
        return address[:64]
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def is_this_machine(address: str) -> bool:
    """Whether a peer's address is a loopback one."""
    parsed = _parse(address)
    return parsed is not None and parsed.is_loopback


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
