"""The one exception of this room: set-up cannot go on, and here is why."""

from __future__ import annotations


class SetupError(Exception):
    """Carries one sentence for the person at the keyboard: what is wrong and what to do."""
