"""`log.csv` beside the pictures that were kept with the Save button: one row per picture.

The columns are A1111's, so that tools and spreadsheets made for its log read this one too.
"""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

from modules.gallery.infotext import parse

NAME = "log.csv"
COLUMNS = (
    "prompt",
    "seed",
    "width",
    "height",
    "sampler",
    "cfgs",
    "steps",
    "filename",
    "negative_prompt",
    "sd_model_name",
    "sd_model_hash",
)


def add_row(folder: Path, file_name: str, infotext: str) -> None:
    """Add a picture to the folder's log; the log begins with its columns' names.

    A row is written by one call that appends, so that rows of two programs never mix.

    Raises:
        OSError: the log cannot be written.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    log = os.open(folder / NAME, flags, 0o666)
    try:
        before = os.fstat(log).st_size
        text = _line(COLUMNS) if before == 0 else ""
        row = (text + _line(_row(file_name, infotext))).encode("utf-8", "replace")
        _append(log, before, row)
        os.fsync(log)
    finally:
        os.close(log)


def _append(log: int, before: int, row: bytes) -> None:
    """Write a row, or nothing: of a disk that fills up the half row is taken back."""
    written = 0
    try:
        while written < len(row):
            written += os.write(log, row[written:])
    except OSError:
        if written and os.fstat(log).st_size == before + written:
            os.ftruncate(log, before)
        raise


def _row(file_name: str, infotext: str) -> tuple[str, ...]:
    read = parse(infotext)
    told = read.parameters
    width, _, height = told.get("Size", "").partition("x")
    return (
        read.prompt,
        told.get("Seed", ""),
        width,
        height,
        told.get("Sampler", ""),
        told.get("CFG scale", ""),
        told.get("Steps", ""),
        file_name,
        read.negative,
        told.get("Model", ""),
        told.get("Model hash", ""),
    )


def _line(cells: tuple[str, ...]) -> str:
    stream = io.StringIO()
    csv.writer(stream).writerow(cells)
    return stream.getvalue()
