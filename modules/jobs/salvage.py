"""A damaged queue: noticing it, and taking over what can still be read of it."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

log = logging.getLogger("easel.jobs")

TABLES = ("jobs", "job_images", "job_state")
CHECKED_BYTES = 256 * 1024 * 1024
"""Larger files are not read through at each start."""


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is damaged: not a full disk, a lock or a folder that is not ours."""
    if isinstance(error, sqlite3.OperationalError):
        return "malformed" in str(error)
    return not isinstance(error, (sqlite3.ProgrammingError, sqlite3.IntegrityError))


def check_whole(connection: sqlite3.Connection) -> None:
    """Read the file through once; milliseconds for a queue of thousands of jobs.

    Raises:
        sqlite3.DatabaseError: some of it is damaged.
    """
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    if pages * size > CHECKED_BYTES:
        return
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise sqlite3.DatabaseError(f"database disk image is malformed: {said}")


def salvage(damaged: Path, into: sqlite3.Connection) -> int:
    """Copy the rows that can be read of a damaged queue into a new one; gives how many."""
    saved = 0
    try:
        with closing(sqlite3.connect(f"{damaged.as_uri()}?mode=ro", uri=True)) as source:
            source.text_factory = lambda data: data.decode("utf-8", "replace")
            for table in TABLES:
                saved += _copy(source, into, table)
    except (sqlite3.Error, OSError, ValueError) as error:
        log.warning("%s cannot be opened any more: %s", damaged.name, error)
    if saved:
        log.warning("%d rows of the damaged queue could still be read", saved)
    return saved


def _copy(source: sqlite3.Connection, into: sqlite3.Connection, table: str) -> int:
    known = [row[1] for row in into.execute(f"PRAGMA table_info({table})")]
    saved = 0
    for order in ("", " ORDER BY rowid DESC"):  # from both ends up to the damaged page
        try:
            cursor = source.execute(f"SELECT * FROM {table} NOT INDEXED{order}")
            names = [column[0] for column in cursor.description]
            chosen = [place for place, name in enumerate(names) if name in known]
            columns = ", ".join(names[place] for place in chosen)
            marks = ", ".join("?" * len(chosen))
            insert = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})"
            for row in cursor:
                saved += _insert(into, insert, [row[place] for place in chosen])
        except sqlite3.DatabaseError as error:
            log.warning("the damaged queue's %s cannot be read in full: %s", table, error)
    return saved


def _insert(into: sqlite3.Connection, insert: str, values: list[object]) -> int:
    try:
        return into.execute(insert, values).rowcount
    except sqlite3.IntegrityError:
        return 0  # a row of which a part is missing
