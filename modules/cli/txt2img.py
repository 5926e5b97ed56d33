"""`launch.py txt2img`: from flags to saved pictures."""

from __future__ import annotations

import logging
import sqlite3
import sys

from pydantic import ValidationError

from modules.cli.arguments import build_parser, check, to_requests
from modules.cli.progress import ProgressView
from modules.cli.session import Session
from modules.jobs.records import DONE, INTERRUPTED, JobRecord
from modules.requests.errors import RequestError
from modules.requests.generation import GenerationRequest
from modules.settings.flags import parse_flags

FAILED, USAGE, STOPPED = 1, 2, 130
LOOK_SECONDS = 0.1
STOP_SECONDS = 60.0


def main(arguments: list[str]) -> int:
    """Make the pictures; the exit code."""
    asked, rest = build_parser().parse_known_args(arguments)
    flags = parse_flags(rest)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    view = ProgressView(sys.stderr, asked.quiet)
    try:
        check(asked)
        with Session.open(flags, asked.ckpt) as session:
            checkpoint = session.checkpoint(asked.ckpt)
            requests = to_requests(asked, session.suggestions(checkpoint))
            for request in requests:
                request.override_settings["sd_model_checkpoint"] = checkpoint.title
            session.start(requests)
            return _paint(session, requests, view)
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


def _paint(session: Session, requests: list[GenerationRequest], view: ProgressView) -> int:
    """Submit one job after the other, so that Ctrl+C leaves nothing waiting."""
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
        failed = failed or record.state != DONE
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
    for image in (*record.pictures(), *filter(None, [record.grid()])):
        if image.saved:
            sys.stdout.write(f"{image.path}\n")
    sys.stdout.flush()


def _sentence(error: ValidationError) -> str:
    """The first fault as a sentence with the flag's value."""
    fault = error.errors()[0]
    field = ".".join(str(part) for part in fault["loc"])
    return f"{field}: {fault.get('input')!r} is not possible: {fault['msg']}."
