"""From a command's flags to saved pictures: what all commands have in common."""

from __future__ import annotations

import argparse
import logging
import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from modules.cli.progress import ProgressView
from modules.cli.session import Session
from modules.jobs.batch import JobRequest
from modules.jobs.records import DONE, INTERRUPTED, ImageRecord, JobRecord
from modules.requests.errors import RequestError
from modules.settings.flags import parse_flags

FAILED, USAGE, STOPPED = 1, 2, 130
LOOK_SECONDS = 0.1
STOP_SECONDS = 60.0

Note = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a command line asks for."""

    requests: Sequence[JobRequest]
    skipped: int = 0
    """Inputs that could not be used; each was named already."""


@dataclass(frozen=True)
class Command:
    """One word after `launch.py`."""

    parser: Callable[[], argparse.ArgumentParser]
    plan: Callable[[argparse.Namespace, Session, Note], Plan]
    """Flags to requests. Raises ValueError, RequestError or ValidationError with a sentence."""
    noun: str = "prompt"
    """What the progress line counts."""


def run(command: Command, arguments: list[str]) -> int:
    """Make the pictures; the exit code: 0, 1 when something failed, 2 for wrong flags, 130."""
    asked, rest = command.parser().parse_known_args(arguments)
    flags = parse_flags(rest)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    view = ProgressView(sys.stderr, asked.quiet, command.noun)
    try:
        with Session.open(flags, getattr(asked, "ckpt", None)) as session:
            plan = command.plan(asked, session, view.note)
            session.start(plan.requests)
            code = carry_out(session, plan.requests, view)
            return code or (FAILED if plan.skipped else 0)
    except ValidationError as error:
        view.note(_sentence(error))
        return USAGE
    except RequestError as error:
        view.note(error.sentence)
        return USAGE
    except ValueError as error:
        view.note(f"{error}.")
        return USAGE
    except (OSError, sqlite3.Error) as error:
        view.note(f"{error}.")
        return FAILED


def carry_out(
    session: Session,
    requests: Sequence[JobRequest],
    view: ProgressView,
) -> int:
    """Submit one job after the other, so that Ctrl+C leaves nothing waiting; the exit code."""
    failed = False
    for number, request in enumerate(requests, 1):
        job = session.jobs.submit(request, client="cli")
        try:
            record = _follow(session, job, number, len(requests), view)
        except KeyboardInterrupt:
            view.note("Stopping after this step…")
            session.jobs.cancel(job)
            try:
                _report(session.jobs.wait(job, timeout=STOP_SECONDS), view)
            except TimeoutError:
                view.note(f"The engine did not stop within {STOP_SECONDS:.0f} s and is ended.")
            return STOPPED
        _report(record, view)
        if record.state == INTERRUPTED:
            return STOPPED
        failed = failed or record.state != DONE or any(map(_went_astray, record.images))
    return FAILED if failed else 0


def _follow(session: Session, job: str, number: int, total: int, view: ProgressView) -> JobRecord:
    while True:
        view.show(session.jobs.snapshot(job), number, total, _engine_state(session))
        try:
            return session.jobs.wait(job, timeout=LOOK_SECONDS)
        except TimeoutError:
            continue


def _engine_state(session: Session) -> str:
    model = session.jobs.engine.model
    if model.state == "loading":
        return f"loading {model.name}"
    return str(session.jobs.engine.engine_json()["message"])


def _report(record: JobRecord, view: ProgressView) -> None:
    """The saved files on stdout, everything else on stderr."""
    for warning in record.warnings:
        view.note(f"Note: {warning}")
    if record.error:
        view.note(record.error)
    view.clear()
    grids = sorted((one for one in record.images if one.kind == "grid"), key=lambda one: -one.index)
    for image in (*record.pictures(), *grids):
        if image.saved:
            sys.stdout.write(f"{image.path}\n")
        elif _went_astray(image) and image.path:
            view.note(f"It is kept as {image.path}.")
    for path in filter(None, [record.facts.get("file"), *(record.facts.get("files") or ())]):
        sys.stdout.write(f"{path}\n")
    sys.stdout.flush()


def _went_astray(image: ImageRecord) -> bool:
    """Whether a picture is not in its folder although it should be."""
    return not image.saved and image.note is not None


def _sentence(error: ValidationError) -> str:
    """The first fault as a sentence with the flag's value."""
    fault = error.errors()[0]
    field = ".".join(str(part) for part in fault["loc"])
    return f"{field}: {fault.get('input')!r} is not possible: {fault['msg']}."
