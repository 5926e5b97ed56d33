"""Whether a request was made by our own page, by a program, or by some other website."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class OriginRule:
    """Other origins that the user allowed with ``--cors-allow-origins`` or its regex."""

    allowed: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None

    @classmethod
    def build(cls, listed: str | None, pattern: str | None) -> OriginRule:
        """From the two command-line flags.

        Raises:
            ValueError: the regular expression does not compile.
        """
        origins = frozenset(
            o.strip().rstrip("/").lower() for o in (listed or "").split(",") if o.strip()
        )
        try:
            compiled = re.compile(pattern) if pattern else None
        except re.error as error:
            raise ValueError(f"--cors-allow-origins-regex: {error}") from error
        return cls(origins, compiled)

    def lists(self, origin: str) -> bool:
        """Whether the user allowed this other origin."""
        if "*" in self.allowed:
            return origin != "null"
        if origin.lower() in self.allowed:
            return True
        return self.pattern is not None and self.pattern.fullmatch(origin) is not None

    def refuses(self, method: str, scheme: str, headers: Mapping[str, str]) -> str | None:
        """Why a request must not pass, or None.

        Browsers cannot leave out or forge ``Origin`` on a POST or ``Sec-Fetch-Site`` on loopback,
        so a request without both was made by a program, not by a website.
        """
        origin = headers.get("origin")
        if origin is not None:
            if self.lists(origin):
                return None
            if not _same_origin(origin, scheme, headers.get("host", "")):
                if method in SAFE_METHODS and method != "OPTIONS" and _plain_navigation(headers):
                    return None
                return f"requests from {origin[:100]!r} are not allowed"
        site = headers.get("sec-fetch-site")
        if site in (None, "same-origin", "none"):
            return None
        if method in SAFE_METHODS and _plain_navigation(headers):
            return None
        return f"requests from another site ({site[:40]}) are not allowed"

    def refuses_socket(self, scheme: str, headers: Mapping[str, str]) -> str | None:
        """The same for a WebSocket handshake, where every cross-origin one is refused."""
        origin = headers.get("origin")
        if origin is not None:
            if self.lists(origin) or _same_origin(origin, _http(scheme), headers.get("host", "")):
                return None
            return f"sockets from {origin[:100]!r} are not allowed"
        if headers.get("sec-fetch-site") in (None, "same-origin", "none"):
            return None
        return "sockets from another site are not allowed"


def _plain_navigation(headers: Mapping[str, str]) -> bool:
    """A link that someone followed to us: it opens a page of its own and its maker sees nothing."""
    return (
        headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    )


def _same_origin(origin: str, scheme: str, host: str) -> bool:
    given = origin.lower().rstrip("/")
    # Behind a TLS proxy the browser says https while we are spoken to in http.
    return given in (f"{scheme}://{host}".lower(), f"https://{host}".lower())


def _http(scheme: str) -> str:
    return {"ws": "http", "wss": "https"}.get(scheme, scheme)
