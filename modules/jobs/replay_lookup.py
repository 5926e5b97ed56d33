"""A picture's job in the queue of a data folder that another process may be working with."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from pathlib import Path

from modules.jobs.image_rows import IMAGE_COLUMNS, image_of, json_object
from modules.jobs.replaying import Known

log = logging.getLogger("easel.jobs")


def find_in(database: Path, infotext: str) -> Known | None:
    """The newest picture with exactly this text, and its job; the file is only read."""
    if not database.is_file():
        return None
    address = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=5)) as connection:
            row = connection.execute(
                f"SELECT {IMAGE_COLUMNS} FROM job_images WHERE kind = 'image' AND infotext = ? "
                "ORDER BY created DESC LIMIT 1",
                (infotext,),
            ).fetchone()
            if row is None:
                return None
            image = image_of(row)
            job = connection.execute(
                "SELECT kind, prepared, facts FROM jobs WHERE id = ?", (image.job,)
            ).fetchone()
    except sqlite3.Error as error:
        log.warning("%s could not be asked for the picture's job: %s", database.name, error)
        return None
    prepared = {} if job is None else json_object(job[1])
    if not prepared or prepared.get("plan"):
        return None
    return Known(image, job[0], prepared, json_object(job[2]))
