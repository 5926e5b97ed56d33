"""Why set-up cannot go on, in one sentence for the person at the keyboard."""

from __future__ import annotations

import errno


class SetupError(Exception):
    """Carries one sentence for the person at the keyboard: what is wrong and what to do."""


class UnreachableError(SetupError):
    """A package index does not answer or lacks a package; another index may have it."""


DISK_FULL = "The disk is full: make room and run launch.py again; it goes on where it stopped."


def explain_os_error(reason: OSError) -> str:
    """One sentence for why a file could not be read or written."""
    if reason.errno == errno.ENOSPC:
        return DISK_FULL
    where = f" at {reason.filename}" if reason.filename else ""
    return (
        f"Set-up stopped{where} ({reason.strerror or reason}): mend that and run launch.py again."
    )
