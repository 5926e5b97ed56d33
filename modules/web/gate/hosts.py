"""Which ``Host`` headers are ours: the defence against DNS rebinding.

A website can point its own name at 127.0.0.1, but it cannot change the name the browser then sends.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

_HOST = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>\d{1,5}))?"
)


@dataclass(frozen=True)
class HostList:
    """The names this server answers to.

    Any port is accepted, so that an SSH tunnel works; rebinding cannot choose a name.
    """

    names: frozenset[str]
    """Lower-case names beyond the loopback ones."""
    any_address: bool = False
    """Also answer to every bare IP address (``--listen``): a literal address cannot be rebound."""

    @classmethod
    def build(cls, names: Iterable[str], any_address: bool) -> HostList:
        """Names as given on the command line; empty ones are dropped."""
        return cls(frozenset(name.lower().strip("[]") for name in names if name), any_address)

    def allows(self, host: str) -> bool:
        """Whether a ``Host`` header's value, ``name`` or ``name:port``, is one of ours."""
        match = _HOST.fullmatch(host)
        if match is None or int(match["port"] or 0) > 65535:
            return False
        name = (match["six"] or match["name"]).lower()
        if name == "localhost" or name in self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self.any_address
