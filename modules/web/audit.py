"""What the web notes in the audit log: starts that let others in, wrong logins, new settings."""

from __future__ import annotations

import time
from collections.abc import Callable

from modules.settings.audit import AuditLog
from modules.settings.flags import Flags
from modules.settings.store import OptionStore
from modules.web.exposure import asks_for_login, bind_address, is_open

OPENING = (
    "listen",
    "server_name",
    "cors_allow_origins",
    "cors_allow_origins_regex",
    "subpath",
    "api_server_stop",
    "allow_code",
    "enable_insecure_extension_access",
    "safe_mode",
)
"""Flags that let others in, or more be done; none of them holds a password."""


def note_start(audit: AuditLog, flags: Flags) -> None:
    """A start, with the flags that open the server; one that opens nothing is not noted."""
    given = [name for name in OPENING if getattr(flags, name)]
    if given:
        audit.note(
            "start",
            flags=[f"--{name.replace('_', '-')}" for name in given],
            address=bind_address(flags),
            port=flags.port,
            open=is_open(flags),
            login=asks_for_login(flags),
        )


def note_settings(audit: AuditLog, options: OptionStore) -> None:
    """Every change of settings by its keys; the values stay out of the log."""
    options.subscribe(lambda changes: audit.note("settings changed", keys=sorted(changes)))


class FailedLogins:
    """Notes wrong logins, at most twenty a minute: guessing must not push out older lines."""

    MOST = 20
    SECONDS = 60.0

    def __init__(self, audit: AuditLog, now: Callable[[], float] = time.monotonic) -> None:
        self._audit = audit
        self._now = now
        self._begun = float("-inf")
        self._count = 0

    def __call__(self, address: str, number: int) -> None:
        """A wrong login from an address, its ``number``-th."""
        now = self._now()
        if now - self._begun >= self.SECONDS:
            left_out = self._count - self.MOST
            if left_out > 0:
                self._audit.note("logins failed", left_out=left_out)
            self._begun, self._count = now, 0
        self._count += 1
        if self._count <= self.MOST:
            self._audit.note("login failed", address=address, number=number)
