"""The pictures of the queue on disk; what a full disk refuses is held in memory until it can go."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from modules.jobs import uses
from modules.jobs.records import ImageRecord

log = logging.getLogger("easel.jobs")

IMAGE_COLUMNS = (
    "id, job, idx, kind, path, name, width, height, seed, infotext, saved, note, created, facts"
)
_MARKS = ", ".join("?" * len(IMAGE_COLUMNS.split(", ")))


class ImageRows(ABC):
    """The part of the store that knows pictures.

    A picture that cannot be recorded now (a full disk, a folder that became read-only) is still
    found by everyone who asks; ``write_unwritten`` records it later.
    """

    _connection: sqlite3.Connection
    _lock: threading.RLock

    def __init__(self) -> None:
        self._unwritten: dict[str, ImageRecord] = {}
        self.troubled: Callable[[Exception], None] = lambda error: None
        """Hears of it when the file cannot be written."""

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """One change of the file, whole or not at all."""

    def add_image(self, image: ImageRecord) -> bool:
        """Record a picture; a second one with the same place in the job replaces the first.

        False: the disk refuses, so that it is known in memory only, until it can be written.
        """
        try:
            self._write_image(image)
        except sqlite3.OperationalError as error:
            log.error("the picture %s is recorded in memory only: %s", image.name, error)
            with self._lock:
                self._unwritten[image.id] = image
            self.troubled(error)
            return False
        with self._lock:
            self._unwritten.pop(image.id, None)
        return True

    def write_unwritten(self) -> int:
        """Record what could not be recorded before; gives how many are still waiting.

        Raises:
            sqlite3.OperationalError: it still cannot be done.
        """
        with self._lock:
            for image in list(self._unwritten.values()):
                self._write_image(image)
                del self._unwritten[image.id]
            return len(self._unwritten)

    def _write_image(self, image: ImageRecord) -> None:
        values = (
            image.id,
            image.job,
            image.index,
            image.kind,
            image.path,
            image.name,
            image.width,
            image.height,
            image.seed,
            image.infotext,
            int(image.saved),
            image.note,
            image.created,
            json.dumps(image.facts),
        )
        with self._transaction() as connection:
            connection.execute(
                f"INSERT OR REPLACE INTO job_images ({IMAGE_COLUMNS}) VALUES ({_MARKS})", values
            )
            if image.kind == "image":
                uses.record(connection, image)

    def image(self, image_id: str) -> ImageRecord | None:
        """One picture by its id."""
        with self._lock:
            row = self._connection.execute(
                f"SELECT {IMAGE_COLUMNS} FROM job_images WHERE id = ?", (image_id,)
            ).fetchone()
            return self._unwritten.get(image_id) or (None if row is None else image_of(row))

    def image_with_text(self, infotext: str) -> ImageRecord | None:
        """The newest picture with exactly this text."""
        query = (
            f"SELECT {IMAGE_COLUMNS} FROM job_images WHERE kind = 'image' AND infotext = ? "
            "ORDER BY created DESC LIMIT 1"
        )
        with self._lock:
            row = self._connection.execute(query, (infotext,)).fetchone()
        return None if row is None else image_of(row)

    def knows_path(self, path: Path) -> bool:
        """Whether a picture of any job is recorded at this place."""
        with self._lock:
            query = "SELECT 1 FROM job_images WHERE path = ? LIMIT 1"
            known = self._connection.execute(query, (str(path),)).fetchone() is not None
            return known or any(image.path == str(path) for image in self._unwritten.values())

    def unsaved_images(self, limit: int = 1000) -> list[ImageRecord]:
        """Pictures that should lie in an output folder and do not, the oldest first."""
        query = (
            f"SELECT {IMAGE_COLUMNS} FROM job_images WHERE saved = 0 AND note IS NOT NULL "
            "ORDER BY created LIMIT ?"
        )
        with self._lock:
            found = {row[0]: image_of(row) for row in self._connection.execute(query, (limit,))}
            for image in self._unwritten.values():
                found.pop(image.id, None)
                if not image.saved and image.note:
                    found[image.id] = image
        return list(found.values())

    def forget_image(self, image_id: str) -> None:
        """Take a picture's record out; a file is left alone."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM job_images WHERE id = ?", (image_id,))
        with self._lock:
            self._unwritten.pop(image_id, None)

    # ---- models

    def model_uses(self) -> list[uses.UseCount]:
        """Every model that made a picture, with how often and when."""
        self._take_up_old_uses()
        with self._lock:
            return uses.counts(self._connection)

    def images_made_with(
        self, kind: str, names: Iterable[str], limit: int = 60, offset: int = 0
    ) -> list[uses.UsingImage]:
        """Pictures that a model of one of these names was used for, the newest first."""
        with self._lock:
            return uses.images(self._connection, kind, names, limit, offset)

    def _take_up_old_uses(self) -> None:
        """Once: the pictures of a database that is older than the record of uses."""
        with self._transaction() as connection:
            if not uses.is_empty(connection):
                return
            query = f"SELECT {IMAGE_COLUMNS} FROM job_images WHERE kind = 'image'"
            for row in connection.execute(query).fetchall():
                uses.record(connection, image_of(row))

    def _images_of(self, job_ids: list[str]) -> dict[str, tuple[ImageRecord, ...]]:
        found: dict[str, dict[tuple[str, int], ImageRecord]] = {job_id: {} for job_id in job_ids}
        for start in range(0, len(job_ids), 500):
            part = job_ids[start : start + 500]
            marks = ", ".join("?" * len(part))
            rows = self._connection.execute(
                f"SELECT {IMAGE_COLUMNS} FROM job_images WHERE job IN ({marks}) ORDER BY idx", part
            )
            for row in rows:
                image = image_of(row)
                found[image.job][image.kind, image.index] = image
        for image in self._unwritten.values():
            if image.job in found:
                found[image.job][image.kind, image.index] = image
        return {job_id: tuple(images.values()) for job_id, images in found.items()}


def image_of(row: tuple[Any, ...]) -> ImageRecord:
    """A row with the columns ``IMAGE_COLUMNS``."""
    return ImageRecord(
        *row[:10],
        saved=bool(row[10]),
        note=row[11],
        created=row[12],
        facts=json_object(row[13]),
    )


def json_object(text: str) -> dict[str, Any]:
    """A stored object; empty when the row is damaged, so that the list can still be shown."""
    found = json_value(text, {})
    return found if isinstance(found, dict) else {}


def json_value(text: str, otherwise: Any) -> Any:
    """A stored value, or ``otherwise`` when the row is damaged."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        log.warning("a row of the queue is damaged: %.60r", text)
        return otherwise
