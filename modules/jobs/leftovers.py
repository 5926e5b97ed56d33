"""What a job that makes a model may leave when the engine dies under it: a half-written file."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from modules.jobs.preparing.models import safe_id
from modules.jobs.records import MODEL_KINDS, JobRecord

log = logging.getLogger("easel.jobs")


def remove_leftovers(record: JobRecord) -> None:
    """Delete the unfinished result of a job; nothing happens for other jobs."""
    if record.kind not in MODEL_KINDS:
        return
    part = Path(str((record.prepared.get("resources") or {}).get("part") or ""))
    if not part.name.startswith(".") or not part.name.endswith(f".{safe_id(record.id)}.part"):
        return
    try:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s could not be removed: %s", part.name, error)
