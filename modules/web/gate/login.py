"""Who may come in when there is a login: HTTP Basic, then a cookie; or a start-up link."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

OPEN_PATHS = frozenset({"/internal/ping"})
"""Answered without a login: it tells nothing but that the server lives."""


class BadLogin(ValueError):  # noqa: N818 - reads as what happened
    """A login on the command line that cannot be used; the message says how it must look."""


def parse_users(text: str | None, flag: str) -> dict[str, str]:
    """``user:password`` pairs, separated by commas.

    Raises:
        BadLogin: a pair lacks its colon or its user.
    """
    users: dict[str, str] = {}
    for pair in (text or "").split(","):
        if not pair.strip():
            continue
        user, colon, password = pair.strip().partition(":")
        if not colon or not user or not password:
            raise BadLogin(f"{flag}: each login must look like user:password.")
        users[user] = password
    return users


def read_users(path: str | None) -> dict[str, str]:
    """Logins from a file, one ``user:password`` a line.

    Raises:
        BadLogin: the file cannot be read or a line does not fit.
    """
    if not path:
        return {}
    try:
        lines = Path(path).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadLogin(f"--gradio-auth-path: {path} cannot be read ({error}).") from error
    return parse_users(",".join(lines), "--gradio-auth-path")


@dataclass(frozen=True)
class Login:
    """The logins of the page (which then cover everything) and those of the API alone."""

    page_users: Mapping[str, str] = field(default_factory=dict)
    api_users: Mapping[str, str] = field(default_factory=dict)
    token: str | None = None
    """For the link printed at start, when the server is open to the network; good until it ends."""
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    cookie_name: str = "easel_session"
    """Browsers keep one jar for all ports of a host: servers side by side need their own names."""

    def needs(self, path: str) -> bool:
        """Whether this path asks for a login."""
        if path in OPEN_PATHS:
            return False
        return bool(self.page_users or self.token or (self.api_users and is_api(path)))

    def admits(self, path: str, headers: Mapping[str, str]) -> bool:
        """Whether the request proves who it is by cookie, Basic or Bearer."""
        if self.session_is_valid(headers.get("cookie", "")):
            return True
        kind, _, value = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.token_is_valid(value.strip())
        if kind.lower() != "basic":
            return False
        user, password = _decode_basic(value)
        if _matches(self.page_users, user, password):
            return True
        if is_api(path) and _matches(self.api_users, user, password):
            return True
        return self.token_is_valid(password)

    def earns_session(self, headers: Mapping[str, str]) -> bool:
        """Whether this request's own credentials open the page, so that it may get the cookie."""
        kind, _, value = headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic" or self.session_is_valid(headers.get("cookie", "")):
            return False
        user, password = _decode_basic(value)
        return _matches(self.page_users, user, password) or self.token_is_valid(password)

    def token_is_valid(self, given: str) -> bool:
        """Compare with the start-up token in constant time."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def session_is_valid(self, cookie_header: str) -> bool:
        """Whether the cookie was issued by this server process."""
        try:
            morsel = SimpleCookie(cookie_header).get(self.cookie_name)
        except CookieError:
            return False
        return morsel is not None and hmac.compare_digest(
            morsel.value.encode(), self.session_value().encode()
        )

    def session_value(self) -> str:
        """What the cookie holds; it dies with the server process."""
        return hmac.new(self.secret, b"easel page session", hashlib.sha256).hexdigest()

    def cookie(self, secure: bool) -> str:
        """The ``Set-Cookie`` header."""
        tail = "; Secure" if secure else ""
        return f"{self.cookie_name}={self.session_value()}; Path=/; HttpOnly; SameSite=Strict{tail}"


def is_api(path: str) -> bool:
    """Whether a path belongs to the API that ``--api-auth`` guards."""
    return path == "/sdapi" or path.startswith("/sdapi/")


def _decode_basic(value: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(value.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return "", ""
    user, _, password = text.partition(":")
    return user, password


def _matches(users: Mapping[str, str], user: str, password: str) -> bool:
    found = False
    for known, expected in users.items():
        same_user = hmac.compare_digest(known.encode(), user.encode())
        same_password = hmac.compare_digest(expected.encode(), password.encode())
        found = found or (same_user and same_password)
    return found
