"""The cookie of a browser that has logged in: signed, not stored, good for this process only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie

LIFE_SECONDS = 30 * 24 * 3600.0
MAX_COOKIE_HEADER = 8192


@dataclass(frozen=True)
class Sessions:
    """Issues, checks and ends sessions."""

    cookie_name: str = "easel_session"
    """Browsers keep one jar for all ports of a host: servers side by side need their own names."""
    path: str = "/"
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    now: Callable[[], float] = time.time
    _ended: dict[str, float] = field(default_factory=dict, repr=False)

    def begin(self, secure: bool) -> str:
        """The ``Set-Cookie`` header of a new session."""
        told = f"{int(self.now() + LIFE_SECONDS)}.{secrets.token_urlsafe(16)}"
        return self._cookie(f"{told}.{self._sign(told)}", secure)

    def is_valid(self, cookie_header: str) -> bool:
        """Whether the cookie was issued by this process, is fresh, and was not ended."""
        told = self._told(cookie_header)
        return told is not None and told not in self._ended

    def end(self, cookie_header: str, secure: bool) -> str:
        """End the session of a cookie; gives the ``Set-Cookie`` header that takes it away."""
        told = self._told(cookie_header)
        if told is not None:
            self._forget_old()
            self._ended[told] = float(told.partition(".")[0])
        return self._cookie("", secure) + "; Max-Age=0"

    def _told(self, cookie_header: str) -> str | None:
        value = self._value(cookie_header)
        told, _, signature = value.rpartition(".")
        if not told or not hmac.compare_digest(signature.encode(), self._sign(told).encode()):
            return None
        return told if float(told.partition(".")[0]) > self.now() else None

    def _value(self, cookie_header: str) -> str:
        if len(cookie_header) > MAX_COOKIE_HEADER:
            return ""
        try:
            morsel = SimpleCookie(cookie_header).get(self.cookie_name)
        except CookieError:
            return ""
        return morsel.value if morsel is not None else ""

    def _sign(self, told: str) -> str:
        return hmac.new(self.secret, told.encode(), hashlib.sha256).hexdigest()

    def _cookie(self, value: str, secure: bool) -> str:
        tail = "; Secure" if secure else ""
        return f"{self.cookie_name}={value}; Path={self.path}; HttpOnly; SameSite=Strict{tail}"

    def _forget_old(self) -> None:
        for told in [told for told, end in self._ended.items() if end <= self.now()]:
            del self._ended[told]
