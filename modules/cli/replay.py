"""`launch.py replay`: make pictures again and compare them, pixel by pixel."""

from __future__ import annotations

import argparse
import logging
import sqlite3
import sys
from pathlib import Path

from modules.cli.arguments import parser_of
from modules.cli.progress import ProgressView
from modules.cli.run import FAILED, LOOK_SECONDS, STOPPED, USAGE
from modules.cli.session import Session
from modules.jobs.records import DONE, ImageRecord
from modules.jobs.replay_lookup import find_in
from modules.jobs.replaying import Replays, Report
from modules.requests.errors import RequestError
from modules.settings import atomic
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths

MAX_BYTES = 256 * 1024 * 1024


def main(arguments: list[str]) -> int:
    """Replay files; 0: all are the same, 1: one differs or failed, 2: one cannot be replayed."""
    asked, rest = build_parser().parse_known_args(arguments)
    flags = parse_flags(rest)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    view = ProgressView(sys.stderr, asked.quiet, "picture")
    paths = Paths.from_flags(flags)
    try:
        with Session.open(flags, asked.ckpt) as session:
            session.start([])
            replays = Replays(session.jobs, _read, lambda text: find_in(paths.database, text))
            codes = [_replay(session, replays, path, asked.outdir, view) for path in asked.files]
            return max(codes)
    except KeyboardInterrupt:
        return STOPPED
    except (OSError, sqlite3.Error) as error:
        view.note(f"{error}.")
        return FAILED


def build_parser() -> argparse.ArgumentParser:
    """The parser of `launch.py replay`."""
    parser = parser_of(
        "replay",
        "Make pictures again from what their files say, or from the job in the data folder that "
        "made them, and compare all pixels. When they differ, the likely causes are named. ",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="pictures")
    parser.add_argument("--ckpt", metavar="FILE", help="a further checkpoint file to look at")
    parser.add_argument("--outdir", type=Path, help="keep the new pictures in this folder")
    parser.add_argument("--quiet", action="store_true", help="no progress line")
    return parser


def _replay(
    session: Session, replays: Replays, path: Path, outdir: Path | None, view: ProgressView
) -> int:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise OSError(f"the file is larger than {MAX_BYTES} bytes")
        job = replays.of_file(path.read_bytes(), "cli")
        report = _follow(session, replays, job, view)
    except RequestError as error:
        view.note(f"{path}: {error.sentence}")
        return USAGE
    except OSError as error:
        view.note(f"{path}: {error.strerror or error}.")
        return USAGE
    if report is None:
        view.note(f"{path}: {session.jobs.record(job).error or 'it could not be made again.'}")
        return FAILED
    _tell(path, report)
    if outdir is not None:
        _keep(report.image, outdir.expanduser(), path, view)
    return 0 if report.comparison.same else FAILED


def _follow(session: Session, replays: Replays, job: str, view: ProgressView) -> Report | None:
    while True:
        view.show(session.jobs.snapshot(job), 1, 1, "")
        try:
            record = session.jobs.wait(job, timeout=LOOK_SECONDS)
            break
        except TimeoutError:
            continue
    view.clear()
    for warning in record.warnings:
        view.note(f"Note: {warning}")
    return replays.report(job) if record.state == DONE else None


def _tell(path: Path, report: Report) -> None:
    found = report.comparison
    if found.same:
        sys.stdout.write(f"{path}: identical ({found.pixels} pixels)\n")
    else:
        sys.stdout.write(
            f"{path}: {found.differing} of {found.pixels} pixels differ, by {found.largest} of 255 "
            "at most\n"
        )
    for cause in report.causes:
        sys.stdout.write(f"  {cause.sentence}\n")
    sys.stdout.flush()


def _keep(image: ImageRecord, outdir: Path, path: Path, view: ProgressView) -> None:
    target = outdir / f"{path.stem}-replay{Path(image.name).suffix}"
    try:
        outdir.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(target, _read(image))
    except OSError as error:
        view.note(f"{target}: {error.strerror or error}.")


def _read(image: ImageRecord) -> bytes:
    return Path(image.path).read_bytes()
