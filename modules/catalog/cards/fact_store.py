"""Facts about model files, kept on disk: ten thousand headers are read once, not at each start."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path

from modules.catalog.cards.facts import CardFacts
from modules.settings.damage import ANEW, Damage, Told, only_logged, set_aside

logger = logging.getLogger("easel.catalog")

VERSION = 3
"""Grows when facts are read in another way; older ones are then read anew."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (
    path TEXT PRIMARY KEY, stamp TEXT NOT NULL, facts TEXT NOT NULL
) WITHOUT ROWID
"""


class FactStore:
    """Facts by path and stamp. A damaged or unwritable file only costs time: it is a cache."""

    def __init__(self, file: Path, damaged: Told = only_logged) -> None:
        """`damaged` hears of it when the file cannot be read."""
        self.file = file
        self._damaged = damaged
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._known: dict[str, tuple[str, CardFacts]] | None = None

    def get(self, path: Path, stamp: str) -> CardFacts | None:
        """The facts of a file that has not changed since they were kept."""
        with self._lock:
            kept = self._all().get(str(path))
        return kept[1] if kept is not None and kept[0] == stamp else None

    def put(self, rows: Iterable[tuple[Path, str, CardFacts]]) -> None:
        """Keep facts, all in one go."""
        rows = list(rows)
        with self._lock:
            known = self._all()
            for path, stamp, facts in rows:
                known[str(path)] = (stamp, facts)
            if self._connection is None:
                return
            values = [(str(path), stamp, _text(facts)) for path, stamp, facts in rows]
            try:
                with self._connection as connection:
                    connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", values)
            except sqlite3.Error as error:
                logger.warning("%s cannot be written: %s", self.file.name, error)

    def close(self) -> None:
        """Close the file; what is in memory can still be read."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _all(self) -> dict[str, tuple[str, CardFacts]]:
        if self._known is None:
            self._known = self._load()
        return self._known

    def _load(self) -> dict[str, tuple[str, CardFacts]]:
        for attempt in (1, 2):
            try:
                self._connection = self._open()
                rows = self._connection.execute("SELECT path, stamp, facts FROM facts").fetchall()
                return {path: (stamp, _facts(text)) for path, stamp, text in rows}
            except (sqlite3.Error, OSError, ValueError, TypeError, AttributeError) as error:
                logger.warning("%s cannot be used: %s", self.file.name, error)
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
                if attempt == 1 and not _is_in_the_way(error):
                    aside = set_aside(self.file)
                    self._damaged(Damage(self.file.name, aside.name if aside else "", ANEW))
        return {}

    def _open(self) -> sqlite3.Connection:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.file, timeout=5, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                connection.execute("DROP TABLE IF EXISTS facts")
            connection.execute(_SCHEMA)
            connection.execute(f"PRAGMA user_version={VERSION}")
            connection.commit()
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def _is_in_the_way(error: Exception) -> bool:
    """Whether the file may be whole: a full disk, a folder that is not ours, another process."""
    damaged = isinstance(error, sqlite3.OperationalError) and "malformed" in str(error)
    return isinstance(error, (OSError, sqlite3.OperationalError)) and not damaged


def _text(facts: CardFacts) -> str:
    return json.dumps(facts.to_json(), ensure_ascii=True)


def _facts(text: str) -> CardFacts:
    return CardFacts.from_json(json.loads(text))
