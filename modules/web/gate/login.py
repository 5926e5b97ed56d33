"""Who may come in when there is a login: a user, the token of the console, or a one-time link."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from modules.web.gate.login_page import LOGIN_PATH
from modules.web.gate.sessions import Sessions

OPEN_PATHS = frozenset({"/internal/ping", LOGIN_PATH})
"""Answered without a login; the ping tells nothing but that the server lives."""


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


class Links:
    """One-time links: each is good for one visit, and then there is a new one."""

    def __init__(self) -> None:
        self._current = secrets.token_urlsafe(18)
        self.announce: Callable[[str], None] = lambda token: None
        """Told the new token after one was used."""

    @property
    def current(self) -> str:
        """The token of the next link."""
        return self._current

    def redeem(self, given: str) -> bool:
        """Use a token up; False when it is not the current one."""
        if not hmac.compare_digest(given.encode(), self._current.encode()):
            return False
        self._current = secrets.token_urlsafe(18)
        self.announce(self._current)
        return True


class Proof(Enum):
    """How a request has shown who it is."""

    NONE = "none"
    WRONG = "wrong"
    """It tried, and failed."""
    COOKIE = "cookie"
    """A browser adds it by itself, also to requests that the user did not mean."""
    CREDENTIALS = "credentials"


@dataclass(frozen=True)
class Login:
    """The logins of the page (which then cover everything) and those of the API alone."""

    page_users: Mapping[str, str] = field(default_factory=dict, repr=False)
    api_users: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: str | None = field(default=None, repr=False)
    """For programs, when the server is open to the network; good until it ends."""
    links: Links | None = field(default=None, repr=False)
    """For browsers, then: the link in the console."""
    sessions: Sessions = field(default_factory=Sessions)

    def needs(self, path: str) -> bool:
        """Whether this path asks for a login."""
        if path in OPEN_PATHS:
            return False
        return bool(self.page_users or self.token or (self.api_users and is_api(path)))

    @property
    def any(self) -> bool:
        """Whether the page asks for a login at all."""
        return bool(self.page_users or self.token)

    def proof(self, path: str, headers: Mapping[str, str]) -> Proof:
        """How the request proves who it is: by cookie, Basic or Bearer."""
        if self.sessions.is_valid(headers.get("cookie", "")):
            return Proof.COOKIE
        return self.credentials(path, headers)

    def credentials(self, path: str, headers: Mapping[str, str]) -> Proof:
        """What the ``Authorization`` header is worth."""
        kind, _, value = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            right = self.token_is_valid(value.strip())
        elif kind.lower() == "basic":
            user, password = _decode_basic(value)
            right = self.knows(user, password)
            if not right and _matches(self.api_users, user, password):
                # Known, but not here: no guess either.
                return Proof.CREDENTIALS if is_api(path) else Proof.NONE
        else:
            return Proof.NONE
        return Proof.CREDENTIALS if right else Proof.WRONG

    def knows(self, user: str, password: str) -> bool:
        """Whether these open the page: a user with a password, or the token."""
        named = _matches(self.page_users, user, password)
        return self.token_is_valid(password) or named

    def token_is_valid(self, given: str) -> bool:
        """Compare with the token in constant time."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())


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
        same_password = hmac.compare_digest(_digest(expected), _digest(password))
        found = found or (same_user and same_password)
    return found


def _digest(text: str) -> bytes:
    """Of one length, so that the time of a comparison does not tell the password's."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
