"""sha256 of model files, computed once and remembered by path, size and modification time."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from modules.catalog.header import open_regular
from modules.settings.atomic import write_json
from modules.settings.damage import ANEW, Damage, Told, only_logged, set_aside

logger = logging.getLogger("easel.catalog")

BLOCK = 4 * 1024 * 1024
SHORT = 10
"""Hexadecimal digits of the short hash that titles show."""
MAX_ENTRIES = 20_000

Digest = Callable[[Path, Callable[[], bool]], str]


class HashingStopped(Exception):  # noqa: N818 - an order from outside, not a fault
    """The caller asked to stop while a file was being hashed."""


class HashCache:
    """The hashes on disk. Two processes may use one file: each re-reads it before it writes."""

    def __init__(
        self, file: Path, digest: Digest | None = None, damaged: Told = only_logged
    ) -> None:
        """`digest` is what is kept of a file: the sha256 of all of it, unless it says otherwise.

        `damaged` hears of it when the hashes cannot be read.
        """
        self.file = file
        self._damaged = damaged
        self._digest = digest or hash_file
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, Any]] = {}
        self._stamp: tuple[int, int] | None = None

    def known(self, path: Path) -> str | None:
        """The sha256 of a file if it is on record and the file has not changed since."""
        stamp = _stamp(path)
        if stamp is None:
            return None
        with self._lock:
            self._reread()
            entry = self._entries.get(str(path))
        if entry and entry.get("size") == stamp[0] and entry.get("mtime_ns") == stamp[1]:
            return entry["sha256"]
        return None

    def sha256(self, path: Path, stop: Callable[[], bool] = lambda: False) -> str:
        """The sha256 of a file, computed and put on record if needed.

        Raises:
            HashingStopped: `stop()` turned true; it is asked every 4 MB.
            OSError: the file cannot be read.
        """
        known = self.known(path)
        if known is not None:
            return known
        before = _stamp(path)
        digest = self._digest(path, stop)
        if before is not None and before == _stamp(path):
            self._record(path, before, digest)
        return digest

    def remember(self, path: Path, digest: str) -> None:
        """Put a hash on record that was computed while the file was written."""
        stamp = _stamp(path)
        if stamp is not None:
            self._record(path, stamp, digest)

    def _record(self, path: Path, stamp: tuple[int, int], digest: str) -> None:
        with self._lock:
            self._reread()
            self._entries[str(path)] = {"size": stamp[0], "mtime_ns": stamp[1], "sha256": digest}
            if len(self._entries) > MAX_ENTRIES:
                self._entries = {k: v for k, v in self._entries.items() if Path(k).exists()}
            try:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                write_json(self.file, {"version": 1, "files": self._entries})
                self._stamp = _stamp(self.file)
            except OSError as error:
                logger.warning("the hash of %s could not be kept: %s", path.name, error)

    def _reread(self) -> None:
        stamp = _stamp(self.file)
        if stamp is None or stamp == self._stamp:
            return
        try:
            files = json.loads(self.file.read_text(encoding="utf-8"))["files"]
            self._entries = {k: v for k, v in files.items() if _is_entry(v)}
        except OSError as error:
            logger.warning("%s cannot be read: %s", self.file.name, error)
            self._entries = {}
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            aside = set_aside(self.file)
            self._damaged(Damage(self.file.name, aside.name if aside else "", ANEW))
            self._entries = {}
        self._stamp = stamp


def hash_file(path: Path, stop: Callable[[], bool] = lambda: False) -> str:
    """The sha256 of a whole file in hexadecimal digits.

    Raises:
        HashingStopped: `stop()` turned true.
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    block = bytearray(BLOCK)
    view = memoryview(block)
    with open_regular(path) as stream:
        while True:
            if stop():
                raise HashingStopped
            count = stream.readinto(view)  # type: ignore[attr-defined]
            if not count:
                return digest.hexdigest()
            digest.update(view[:count])


def combine(parts: Iterable[tuple[str, str]]) -> str:
    """One sha256 for many files, from their names inside the folder and their own hashes."""
    lines = sorted(f"{name}\n{digest}\n" for name, digest in parts)
    return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _is_entry(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("sha256"), str)
        and len(value["sha256"]) == 64
    )
