"""What the web asks of whatever manages extensions; it never imports it.

Every answer is ready for JSON. Nothing of an extension is executed before ``install`` was called
with what somebody agreed to.
"""

from __future__ import annotations

from typing import Any, Protocol


class Declined(Exception):  # noqa: N818 - reads as what happened
    """Something about extensions could not be done; the message is one sentence for people."""

    def __init__(self, sentence: str, status: int = 409) -> None:
        super().__init__(sentence)
        self.status = status
        """The HTTP status: 403 when it must not be done at all, else 409."""


class ExtensionDesk(Protocol):
    """Every method may take long and raises ``Declined`` or ``RequestError``."""

    def overview(self) -> dict[str, Any]:
        """All extensions, whether they may be changed, and whether a restart is due."""

    def a1111_rows(self) -> list[dict[str, Any]]:
        """The same as AUTOMATIC1111's ``GET /sdapi/v1/extensions`` answers."""

    def look(self, url: str, folder: str, branch: str) -> dict[str, Any]:
        """Fetch a repository and say what is in it."""

    def packages(self, token: str, build: bool) -> dict[str, Any]:
        """What its packages would change in the environment."""

    def install(self, token: str, packages: bool, installer: bool, build: bool) -> dict[str, Any]:
        """Put it in its place."""

    def look_for_update(self, name: str) -> dict[str, Any]:
        """Whether there is a newer version, and what it changes."""

    def update(
        self, name: str, token: str, packages: bool, installer: bool, build: bool
    ) -> dict[str, Any]:
        """Bring it to the version that was looked at."""

    def switch(self, name: str, on: bool) -> dict[str, Any]:
        """Switch one on or off."""

    def switch_all(self, which: str) -> dict[str, Any]:
        """``none``, ``extra`` or ``all`` are off, whatever their own switches say."""

    def remove(self, name: str, packages: bool) -> dict[str, Any]:
        """Delete it."""

    def index(self, url: str) -> dict[str, Any]:
        """The curated list, or the one behind an address."""

    def states(self) -> dict[str, Any]:
        """The kept states of all extensions."""

    def keep_state(self, name: str) -> dict[str, Any]:
        """Write down which extensions there are, and at which commits."""

    def plan_state(self, file: str) -> dict[str, Any]:
        """What going back to a kept state would change."""

    def restore_state(self, file: str) -> dict[str, Any]:
        """Go back to it."""

    def forget_state(self, file: str) -> dict[str, Any]:
        """Delete a kept state."""
