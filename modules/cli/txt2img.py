"""`launch.py txt2img`: from flags to saved pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from modules.cli.arguments import build_parser as common_parser
from modules.cli.arguments import check, to_requests
from modules.cli.pictures import read_picture
from modules.cli.run import Command, Note, Plan, run
from modules.cli.session import Session


def main(arguments: list[str]) -> int:
    """Make the pictures; the exit code."""
    return run(Command(build_parser, _plan), arguments)


def build_parser() -> argparse.ArgumentParser:
    """The parser of `launch.py txt2img`; flags it does not know may belong to the server."""
    parser = common_parser()
    parser.add_argument(
        "--depth-map", type=Path, metavar="FILE", help="for depth models: brighter is nearer"
    )
    return parser


def _plan(asked: argparse.Namespace, session: Session, note: Note) -> Plan:
    check(asked)
    checkpoint = session.checkpoint(asked.ckpt)
    requests = to_requests(asked, session.suggestions(checkpoint))
    for request in requests:
        request.override_settings["sd_model_checkpoint"] = checkpoint.title
    if asked.depth_map:
        depth = read_picture(asked.depth_map, "--depth-map", session).ref
        requests = [one.model_copy(update={"depth_map": depth}) for one in requests]
    return Plan(requests)
