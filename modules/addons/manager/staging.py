"""Repositories that were fetched to be looked at, until somebody says yes or an hour is over."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from modules.addons.manager.address import Repository
from modules.addons.manager.git import Commit
from modules.addons.manager.scan import Scan
from modules.requests.errors import RequestError, shorten

MOST = 5
SECONDS = 3600.0


@dataclass(frozen=True)
class Staged:
    """One repository, fetched and looked at, nothing of it executed."""

    token: str
    repository: Repository
    folder: Path
    commit: Commit
    scan: Scan
    created: float = field(default_factory=time.monotonic)


class Staging:
    """At most five, the oldest of them go first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._staged: dict[str, Staged] = {}
        self._lock = threading.Lock()

    def new_folder(self) -> tuple[str, Path]:
        """A token and a path that does not exist, for a clone.

        Raises:
            OSError: the cache folder cannot be written.
        """
        token = secrets.token_hex(16)
        self._folder.mkdir(parents=True, exist_ok=True)
        return token, self._folder / token

    def add(self, staged: Staged) -> None:
        """Keep it for a while."""
        with self._lock:
            self._staged[staged.token] = staged
            kept = list(self._staged.values())
            old = [one for one in kept if time.monotonic() - one.created > SECONDS]
            old += [one for one in kept if one not in old][: max(0, len(kept) - len(old) - MOST)]
            for one in old:
                self._remove(one.token)

    def take(self, token: str) -> Staged:
        """What was staged; it stays until ``drop``.

        Raises:
            RequestError: it is not here any more.
        """
        with self._lock:
            found = self._staged.get(token)
        if found is None or not found.folder.is_dir():
            raise RequestError(
                "token", shorten(str(token)), "what was looked at is not kept any more; look again."
            )
        return found

    def drop(self, token: str) -> None:
        """Delete it."""
        with self._lock:
            self._remove(token)

    def clear(self) -> None:
        """Delete everything, also what an earlier program left."""
        with self._lock:
            self._staged.clear()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _remove(self, token: str) -> None:
        staged = self._staged.pop(token, None)
        if staged is not None:
            shutil.rmtree(staged.folder, ignore_errors=True)
