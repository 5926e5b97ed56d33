"""The queue on disk: SQLite in WAL mode, a commit before every answer."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modules.jobs import uses
from modules.jobs.image_rows import ImageRows, json_object, json_value
from modules.jobs.records import (
    DONE,
    FINISHED,
    PAUSED,
    QUEUED,
    RUNNING,
    ImageRecord,
    JobRecord,
    UnknownJob,
)
from modules.jobs.salvage import check_whole, is_damage, salvage
from modules.settings.damage import ANEW, READABLE, Damage, Told, only_logged, set_aside

log = logging.getLogger("easel.jobs")

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, client TEXT NOT NULL,
    position REAL NOT NULL, created REAL NOT NULL, started REAL, finished REAL,
    attempts INTEGER NOT NULL DEFAULT 0, save INTEGER NOT NULL DEFAULT 1,
    prepared TEXT NOT NULL, error TEXT, warnings TEXT NOT NULL DEFAULT '[]',
    facts TEXT NOT NULL DEFAULT '{}', timings TEXT NOT NULL DEFAULT '{}',
    hidden INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, position);
CREATE INDEX IF NOT EXISTS jobs_by_finished ON jobs (finished);
CREATE TABLE IF NOT EXISTS job_images (
    id TEXT PRIMARY KEY, job TEXT NOT NULL, idx INTEGER NOT NULL, kind TEXT NOT NULL,
    path TEXT NOT NULL, name TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    seed INTEGER NOT NULL, infotext TEXT NOT NULL, saved INTEGER NOT NULL, note TEXT,
    created REAL NOT NULL, facts TEXT NOT NULL, UNIQUE (job, idx, kind)
);
CREATE TABLE IF NOT EXISTS job_state (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
COLUMNS = (
    "id, kind, state, client, position, created, started, finished, attempts, save, prepared, "
    "error, warnings, facts, timings"
)
CHANGEABLE = frozenset(
    {
        "state",
        "position",
        "started",
        "finished",
        "attempts",
        "error",
        "warnings",
        "facts",
        "timings",
    }
)
JSON_COLUMNS = frozenset({"warnings", "facts", "timings"})


class DatabaseUnusable(OSError):  # noqa: N818 - reads as what happened
    """A file of the queue cannot be opened or written; the message names it."""

    def __init__(self, path: Path, error: sqlite3.Error) -> None:
        cure = "make it a writable file or remove it"
        if "full" in str(error):
            cure = "make room on the disk"
        super().__init__(f"{path} cannot be used ({error}); {cure}")


class JobStore(ImageRows):
    """Jobs and their images in one SQLite file; safe to use from any thread.

    ``synchronous=FULL``: when ``add`` returns, the job survives a power cut.
    """

    def __init__(self, path: Path, damaged: Told = only_logged) -> None:
        """Open or make the file; a damaged one is set aside, and ``damaged`` hears of it.

        Raises:
            DatabaseUnusable: it cannot be opened or written.
        """
        super().__init__()
        self.path = path
        self._damaged = damaged
        self._lock = threading.RLock()
        try:
            self._connection = self._open()
        except sqlite3.Error as error:
            raise DatabaseUnusable(path, error) from error
        self.queued = self.count(QUEUED)
        """How many jobs wait, as of the last commit: to be read without waiting for the next."""

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                return self._connect_without_room(error)
            log.error("%s is damaged: %s", self.path.name, error)
            aside = set_aside(self.path)
            if aside is None:
                raise
            connection = self._connect()
            saved = salvage(aside, connection)
            self._damaged(Damage(self.path.name, aside.name, READABLE if saved else ANEW))
            return connection

    def _connect_without_room(self, error: sqlite3.DatabaseError) -> sqlite3.Connection:
        """A file that is there can be read on a full disk, if nothing has to be made beside it."""
        if not self.path.is_file() or not self.path.stat().st_size:
            raise error
        log.warning("%s is opened without the file beside it: %s", self.path.name, error)
        try:
            return self._connect(alone=True)
        except sqlite3.Error:
            raise error from None

    def _connect(self, *, alone: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=10, isolation_level=None, check_same_thread=False
        )
        try:
            if alone:
                connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(SCHEMA)
            connection.executescript(uses.SCHEMA)
            if connection.execute("PRAGMA user_version").fetchone()[0] != SCHEMA_VERSION:
                connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            check_whole(connection)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                queued = self.count(QUEUED)
                self._connection.execute("COMMIT")
                self.queued = queued
            except BaseException:
                # SQLite may have taken it back already, as it does on a full disk.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    # ---- jobs

    def add(self, prepared: dict[str, Any], *, save: bool) -> JobRecord:
        """Append a queued job; committed to disk when this returns.

        Raises:
            ValueError: a job with this id exists already.
        """
        now = time.time()
        try:
            with self._transaction() as connection:
                connection.execute(
                    "INSERT INTO jobs (id, kind, state, client, position, created, save, prepared, "
                    "warnings) VALUES (?, ?, ?, ?, "
                    "(SELECT COALESCE(MAX(position), 0) + 1 FROM jobs), ?, ?, ?, ?)",
                    (
                        prepared["id"],
                        prepared["kind"],
                        QUEUED,
                        prepared["client"],
                        now,
                        int(save),
                        json.dumps(prepared),
                        json.dumps(list(prepared.get("warnings") or ())),
                    ),
                )
        except sqlite3.IntegrityError as error:
            raise ValueError(f"a job with the id {prepared['id']!r} exists already") from error
        return self.get(prepared["id"])

    def get(self, job_id: str) -> JobRecord:
        """One job with its images.

        Raises:
            UnknownJob: there is none with this id.
        """
        with self._lock:
            row = self._connection.execute(
                f"SELECT {COLUMNS} FROM jobs WHERE id = ?", (job_id,)
            ).fetchone()
            if row is None:
                raise UnknownJob(job_id)
            return _job(row, self._images_of([job_id])[job_id])

    def exists(self, job_id: str) -> bool:
        """Whether a job has this id."""
        with self._lock:
            query = "SELECT 1 FROM jobs WHERE id = ?"
            return self._connection.execute(query, (job_id,)).fetchone() is not None

    def waiting(self, limit: int = -1) -> list[JobRecord]:
        """Queued jobs in the order of the queue; all, or the first ``limit``."""
        return self._select("state = ? ORDER BY position LIMIT ?", (QUEUED, limit))

    def waiting_ids(self) -> list[str]:
        """Ids of queued jobs in the order of the queue."""
        query = "SELECT id FROM jobs WHERE state = ? ORDER BY position"
        with self._lock:
            return [row[0] for row in self._connection.execute(query, (QUEUED,))]

    def edge_positions(self) -> tuple[float, float]:
        """Positions of the first and the last queued job; of all jobs when none is queued."""
        query = "SELECT MIN(position), MAX(position) FROM jobs"
        with self._lock:
            row = self._connection.execute(f"{query} WHERE state = ?", (QUEUED,)).fetchone()
            if row[0] is None:
                row = self._connection.execute(query).fetchone()
        return row[0] or 0.0, row[1] or 0.0

    def running(self) -> list[JobRecord]:
        """Jobs marked as running, with the images they have so far."""
        return self._select("state = ? ORDER BY started", (RUNNING,))

    def paused(self) -> list[JobRecord]:
        """Jobs that were put aside, in the order in which they came."""
        return self._select("state = ? ORDER BY created", (PAUSED,))

    def recent(self, limit: int, states: Iterable[str] = FINISHED) -> list[JobRecord]:
        """Finished jobs, newest first, unless the user cleared them from the list."""
        states = list(states)
        marks = ", ".join("?" * len(states))
        return self._select(
            f"state IN ({marks}) AND hidden = 0 ORDER BY finished DESC LIMIT ?", (*states, limit)
        )

    def _select(self, where: str, values: tuple[Any, ...]) -> list[JobRecord]:
        with self._lock:
            rows = self._connection.execute(
                f"SELECT {COLUMNS} FROM jobs WHERE {where}", values
            ).fetchall()
            images = self._images_of([row[0] for row in rows])
        return [_job(row, images[row[0]]) for row in rows]

    def update(self, job_id: str, **changes: Any) -> None:
        """Change columns of one job in one commit."""
        unknown = set(changes) - CHANGEABLE
        if unknown:
            raise ValueError(f"not columns of a job: {sorted(unknown)}")
        values = [json.dumps(v) if k in JSON_COLUMNS else v for k, v in changes.items()]
        names = ", ".join(f"{name} = ?" for name in changes)
        with self._transaction() as connection:
            connection.execute(f"UPDATE jobs SET {names} WHERE id = ?", (*values, job_id))

    def reorder(self, job_ids: list[str]) -> None:
        """Give waiting jobs the order of the list."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT position FROM jobs WHERE state = ? ORDER BY position", (QUEUED,)
            ).fetchall()
            connection.executemany(
                "UPDATE jobs SET position = ? WHERE id = ?",
                [(row[0], job_id) for row, job_id in zip(rows, job_ids, strict=False)],
            )

    def count(self, state: str, client: str | None = None) -> int:
        """How many jobs are in a state, of one client if given."""
        query, values = "SELECT COUNT(*) FROM jobs WHERE state = ?", [state]
        if client is not None:
            query, values = query + " AND client = ?", [state, client]
        with self._lock:
            return self._connection.execute(query, values).fetchone()[0]

    def hide_finished(self) -> int:
        """Take finished jobs out of the list; files and records stay. Returns how many."""
        marks = ", ".join("?" * len(FINISHED))
        with self._transaction() as connection:
            return connection.execute(
                f"UPDATE jobs SET hidden = 1 WHERE hidden = 0 AND state IN ({marks})", FINISHED
            ).rowcount

    def forget_finished(self, keep: int) -> int:
        """Remove all but the ``keep`` newest finished jobs; files stay. Returns how many."""
        marks = ", ".join("?" * len(FINISHED))
        old = (
            f"SELECT id FROM jobs WHERE state IN ({marks}) ORDER BY finished DESC LIMIT -1 OFFSET ?"
        )
        with self._transaction() as connection:
            connection.execute(f"DELETE FROM job_images WHERE job IN ({old})", (*FINISHED, keep))
            uses.trim(connection)
            return connection.execute(
                f"DELETE FROM jobs WHERE id IN ({old})", (*FINISHED, keep)
            ).rowcount

    def inputs_in_use(self) -> set[str]:
        """References of the input pictures of jobs that are not done: they may run (again)."""
        query = "SELECT prepared FROM jobs WHERE state != ?"
        with self._lock:
            rows = self._connection.execute(query, (DONE,)).fetchall()
        used: set[str] = set()
        for (text,) in rows:
            used |= set(json_object(text).get("inputs") or ())
        return used

    # ---- one value each

    def get_flag(self, key: str) -> str | None:
        """A small stored value, such as whether the queue is paused."""
        with self._lock:
            row = self._connection.execute(
                "SELECT value FROM job_state WHERE key = ?", (key,)
            ).fetchone()
        return None if row is None else row[0]

    def set_flag(self, key: str, value: str) -> None:
        """Store a small value."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO job_state VALUES (?, ?)", (key, value))


def _job(row: tuple[Any, ...], images: tuple[ImageRecord, ...]) -> JobRecord:
    return JobRecord(
        id=row[0],
        kind=row[1],
        state=row[2],
        client=row[3],
        position=row[4],
        created=row[5],
        started=row[6],
        finished=row[7],
        attempts=row[8],
        save=bool(row[9]),
        prepared=json_object(row[10]),
        error=row[11],
        warnings=tuple(json_value(row[12], [])),
        facts=json_object(row[13]),
        timings=json_object(row[14]),
        images=images,
    )
