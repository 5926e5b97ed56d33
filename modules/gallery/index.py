"""The gallery's index: which picture has which id, and which job it belongs to (SQLite).

The web serves pictures by id only; the id leads to a path that is checked again before use.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

IMAGE_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".gif"})

_ID = re.compile(r"[0-9a-f]{24}")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS gallery (
    id TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    job TEXT NOT NULL,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    created REAL NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    infotext TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS gallery_job ON gallery (job, number);
CREATE INDEX IF NOT EXISTS gallery_created ON gallery (created);
"""


@dataclass(frozen=True)
class GalleryEntry:
    """One picture of the index; `kind` is image or grid, `number` its place in the job."""

    id: str
    path: Path
    job: str
    number: int
    kind: str
    created: float
    width: int
    height: int
    infotext: str


class GalleryIndex:
    """Ids of saved pictures; pictures deleted behind our back simply vanish from the answers."""

    def __init__(self, path: Path, roots: Sequence[Path]) -> None:
        """`path` is the database; only files below one of `roots` are ever given out."""
        self.roots = tuple(Path(root) for root in roots)
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, check_same_thread=False, timeout=10)
        with self._lock, self._database:
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.executescript(_SCHEMA)

    def add(
        self,
        path: Path,
        *,
        job: str = "",
        number: int = 0,
        kind: str = "image",
        width: int = 0,
        height: int = 0,
        infotext: str = "",
        created: float | None = None,
    ) -> GalleryEntry:
        """Note a saved picture and give it an id nobody can guess."""
        entry = GalleryEntry(
            secrets.token_hex(12),
            Path(path).resolve(),
            job,
            number,
            kind,
            time.time() if created is None else created,
            width,
            height,
            infotext,
        )
        values = (entry.id, str(entry.path), *_columns(entry))
        with self._lock, self._database:
            self._database.execute("INSERT INTO gallery VALUES (?,?,?,?,?,?,?,?,?)", values)
        return entry

    def get(self, image_id: str) -> GalleryEntry | None:
        """The picture of that id; None when it is unknown, gone or outside the roots."""
        if not _ID.fullmatch(image_id):
            return None
        found = self._query("WHERE id = ?", (image_id,))
        return found[0] if found else None

    def by_job(self, job: str) -> list[GalleryEntry]:
        """A job's pictures in order, the grid first."""
        return self._query("WHERE job = ? ORDER BY kind != 'grid', number, created", (job,))

    def recent(self, limit: int = 50, offset: int = 0) -> list[GalleryEntry]:
        """The newest pictures first; deleted ones leave gaps, so a page can be short."""
        page = (max(0, min(limit, 1000)), max(0, offset))
        return self._query("ORDER BY created DESC, rowid DESC LIMIT ? OFFSET ?", page)

    def remove(self, image_id: str) -> bool:
        """Forget a picture (the file stays); False when it was unknown."""
        with self._lock, self._database:
            cursor = self._database.execute("DELETE FROM gallery WHERE id = ?", (image_id,))
        return cursor.rowcount > 0

    def prune(self) -> int:
        """Forget every picture whose file is gone; gives how many."""
        with self._lock:
            rows = self._database.execute("SELECT id, path FROM gallery").fetchall()
        gone = [(image_id,) for image_id, path in rows if not Path(path).is_file()]
        with self._lock, self._database:
            self._database.executemany("DELETE FROM gallery WHERE id = ?", gone)
        return len(gone)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def _query(self, rest: str, values: tuple[object, ...]) -> list[GalleryEntry]:
        columns = "id, path, job, number, kind, created, width, height, infotext"
        with self._lock:
            rows = self._database.execute(
                f"SELECT {columns} FROM gallery {rest}", values
            ).fetchall()
        entries = (GalleryEntry(row[0], Path(row[1]), *row[2:]) for row in rows)
        return [entry for entry in entries if self.may_serve(entry.path)]

    def may_serve(self, path: Path) -> bool:
        """Whether `path` is an existing picture file whose real place is below one of the roots."""
        if path.suffix.lower() not in IMAGE_ENDINGS:
            return False
        try:
            real = path.resolve(strict=True)
            below = any(real.is_relative_to(root.resolve()) for root in self.roots)
        except (OSError, RuntimeError):
            return False
        return below and real.is_file() and real.suffix.lower() in IMAGE_ENDINGS


def _columns(entry: GalleryEntry) -> tuple[object, ...]:
    return (
        entry.job,
        entry.number,
        entry.kind,
        entry.created,
        entry.width,
        entry.height,
        entry.infotext.encode("utf-8", "replace").decode("utf-8"),
    )
