"""What is known of each installed extension: where it came from, when, and its packages."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from modules.settings import atomic

log = logging.getLogger("easel.addons")

FILE = ".easel-extensions.json"


@dataclass(frozen=True)
class Installed:
    """One extension's entry."""

    url: str = ""
    commit: str = ""
    installed: float = 0.0
    """Seconds since 1970."""
    packages: tuple[dict[str, str], ...] = ()
    """Changes of Python packages: name, before, after."""
    installer: str = ""
    """SHA-256 of the install.py that ran last with success."""
    failures: int = 0
    """Starts in a row that it broke."""
    reason: str = ""
    """Why it must stay off until somebody switches it on again."""


@dataclass
class Records:
    """All entries, in a file beside the extensions."""

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def all(self) -> dict[str, Installed]:
        """Name → entry; a damaged file counts as empty."""
        try:
            data = json.loads((self.folder / FILE).read_text(encoding="utf-8"))
            return {str(name): _entry(value) for name, value in dict(data).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as error:
            log.warning("%s is left out: %s", self.folder / FILE, error)
            return {}

    def get(self, name: str) -> Installed:
        """One entry, empty for an extension that was copied here by hand."""
        return self.all().get(name, Installed())

    def change(self, name: str, **values: Any) -> None:
        """Change an entry.

        Raises:
            OSError: it cannot be written.
        """
        self._rewrite(lambda all_: {**all_, name: replace(all_.get(name, Installed()), **values)})

    def forget(self, name: str) -> None:
        """Remove an entry.

        Raises:
            OSError: it cannot be written.
        """
        self._rewrite(lambda all_: {key: value for key, value in all_.items() if key != name})

    def reasons(self) -> dict[str, str]:
        """Name → why it stays off."""
        return {name: entry.reason for name, entry in self.all().items() if entry.reason}

    def _rewrite(self, change: Callable[[dict[str, Installed]], dict[str, Installed]]) -> None:
        with self._lock:
            entries = change(self.all())
            self.folder.mkdir(parents=True, exist_ok=True)
            values = {name: asdict(entry) for name, entry in sorted(entries.items())}
            atomic.write_json(self.folder / FILE, values)


def _entry(value: Any) -> Installed:
    known = {entry.name for entry in fields(Installed)}
    found = {key: one for key, one in dict(value).items() if key in known}
    found["packages"] = tuple(found.get("packages") or ())
    return Installed(**found)
