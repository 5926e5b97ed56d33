"""`launch.py txt2img`: from flags to saved pictures."""

from __future__ import annotations

import argparse

from modules.cli.arguments import build_parser, check, to_requests
from modules.cli.run import Command, Note, Plan, run
from modules.cli.session import Session


def main(arguments: list[str]) -> int:
    """Make the pictures; the exit code."""
    return run(Command(build_parser, _plan), arguments)


def _plan(asked: argparse.Namespace, session: Session, note: Note) -> Plan:
    check(asked)
    checkpoint = session.checkpoint(asked.ckpt)
    requests = to_requests(asked, session.suggestions(checkpoint))
    for request in requests:
        request.override_settings["sd_model_checkpoint"] = checkpoint.title
    return Plan(requests)
