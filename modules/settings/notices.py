"""What everybody in front of the page should know: one sentence each, until it is over or read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from modules.settings.damage import Damage, only_logged

MAX_NOTICES = 50


@dataclass(frozen=True)
class Notice:
    """A line of the banner at the top of the page."""

    id: str
    """A second notice of this id replaces the first."""
    text: str
    """In English, for programs and for a page without the translation ``banner.<code>``."""
    code: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    """What the translation has in braces."""
    kind: str = "warning"
    """info, warning or error."""
    action: str = ""
    """Names a button that the page knows (``static/banner.js``)."""
    lasting: bool = False
    """True for what goes away by itself and cannot be put away before."""


class NoticeBoard:
    """The notices in force; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notices: dict[str, Notice] = {}
        self._listeners: list[Callable[[], None]] = []

    def add(self, notice: Notice) -> None:
        """Put a notice up, or change the one of the same id."""
        with self._lock:
            if self._notices.get(notice.id) == notice:
                return
            self._notices[notice.id] = notice
            while len(self._notices) > MAX_NOTICES:
                del self._notices[next(iter(self._notices))]
        self._tell()

    def remove(self, notice_id: str) -> bool:
        """Take a notice down because it is over; False when there is none."""
        with self._lock:
            found = self._notices.pop(notice_id, None) is not None
        if found:
            self._tell()
        return found

    def dismiss(self, notice_id: str) -> bool:
        """Take a notice down because somebody has read it; lasting ones stay."""
        with self._lock:
            notice = self._notices.get(notice_id)
        return notice is not None and not notice.lasting and self.remove(notice_id)

    def to_json(self) -> list[dict[str, Any]]:
        """All of them, the oldest first."""
        with self._lock:
            return [{**asdict(notice), "params": dict(notice.params)} for notice in self._listed()]

    def _listed(self) -> list[Notice]:
        return list(self._notices.values())

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call ``listener()`` after every change, on the thread that made it."""
        self._listeners.append(listener)

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()

    def damaged(self, damage: Damage) -> None:
        """Tell of a file that could not be read."""
        only_logged(damage)
        self.add(
            Notice(
                id=f"damage:{damage.file}",
                text=damage.sentence,
                code=f"damage_{damage.instead}",
                params={"file": damage.file, "aside": damage.aside},
            )
        )
