"""`launch.py convert`: one model in another form."""

from __future__ import annotations

import argparse

from modules.cli.arguments import parser_of
from modules.cli.merge import add_result
from modules.cli.run import Command, Note, Plan, run
from modules.cli.session import Session
from modules.requests.models import DTYPES, ConvertRequest


def main(arguments: list[str]) -> int:
    """Convert; the exit code."""
    return run(Command(build_parser, _plan, noun="model"), arguments)


def build_parser() -> argparse.ArgumentParser:
    """The parser of `launch.py convert`."""
    parser = parser_of(
        "convert",
        "Write a model as a .safetensors file (from .ckpt, .pt, .pth, .bin or a diffusers folder) "
        "or as a diffusers folder. The result goes to the folder of checkpoints. ",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="path, title, name or hash")
    group = parser.add_argument_group("how")
    group.add_argument("--to", choices=("safetensors", "diffusers"), default="safetensors")
    group.add_argument("--dtype", choices=DTYPES, default="keep", help="number format")
    group.add_argument("--half", action="store_true", help="the same as --dtype fp16")
    group.add_argument(
        "--no-prune", action="store_true", help="keep what makes no pictures (buffers, losses)"
    )
    group.add_argument(
        "--ema",
        choices=("drop", "use", "keep"),
        default="drop",
        help="the UNet's moving average: leave it out (default), let it be the UNet, keep both",
    )
    add_result(parser)
    return parser


def _plan(asked: argparse.Namespace, session: Session, note: Note) -> Plan:
    if asked.name and len(asked.models) > 1:
        raise ValueError("--name is for one model; leave it out to convert several")
    return Plan(
        [
            ConvertRequest(
                model_name=session.model(name),
                to=asked.to,
                dtype="fp16" if asked.half else asked.dtype,
                prune=not asked.no_prune,
                ema=asked.ema,
                custom_name=asked.name,
                overwrite=asked.overwrite,
            )
            for name in asked.models
        ]
    )
