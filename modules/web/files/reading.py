"""Reads a recorded picture from disk without following anything out of the folders of ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from modules.imaging.kinds import mime_of
from modules.jobs.records import ImageRecord, UnknownJob
from modules.web.context import AppContext


class PictureGone(LookupError):  # noqa: N818 - reads as what happened
    """The file was moved, deleted or replaced by something that is no picture."""


def read_picture(context: AppContext, record: ImageRecord) -> tuple[bytes, str]:
    """The bytes and the true type of a picture.

    Raises:
        PictureGone: it is not there any more, or is no picture.
    """
    data = context.jobs.keeper.in_memory(record.id)
    if data is None and record.path:
        data = _read_file(Path(record.path), allowed_roots(context, record.job))
    if data is None:
        raise PictureGone("The file of this image was moved or deleted.")
    mime = mime_of(data)
    if mime is None:
        raise PictureGone("The file of this image is no picture any more.")
    return data, mime


def allowed_roots(context: AppContext, job_id: str) -> list[Path]:
    """The folders that pictures are written to now, and those that this job wrote to."""
    paths = context.paths
    folders = [paths.outputs, paths.cache]
    folders += [paths.data / Path(name).expanduser() for name in _folder_names(context, job_id)]
    return [folder.resolve() for folder in folders]


def _folder_names(context: AppContext, job_id: str) -> Iterator[str]:
    try:
        prepared = context.jobs.record(job_id).prepared
    except UnknownJob:
        prepared = {}
    at_the_time = prepared.get("options") or {}
    chosen = (prepared.get("request") or {}).get("output_folder")
    if isinstance(chosen, str) and chosen:
        yield chosen
    for options in (context.options.as_dict(), at_the_time):
        for key, value in options.items():
            if key.startswith("outdir_") and isinstance(value, str) and value:
                yield value


def _read_file(path: Path, roots: list[Path]) -> bytes | None:
    try:
        real = path.resolve(strict=True)
        if not any(real.is_relative_to(root) for root in roots):
            return None
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(real, flags), "rb") as file:
            return file.read()
    except (OSError, ValueError):
        return None
