"""`launch.py outpaint`: pictures grow beyond their borders."""

from __future__ import annotations

import argparse

from modules.cli.arguments import add_generation, check, parser_of
from modules.cli.img2img import add_init, common_fields, requests_of
from modules.cli.pictures import read_pictures
from modules.cli.run import Command, Note, Plan, run
from modules.cli.session import Session
from modules.imaging.extend import SIDES
from modules.requests.generation import Outpaint

METHODS = ("noise", "tiled", "edge")
STRENGTH = 0.8
"""As Outpainting mk2 advises."""


def main(arguments: list[str]) -> int:
    """Grow the pictures; the exit code."""
    return run(Command(build_parser, _plan, noun="picture"), arguments)


def build_parser() -> argparse.ArgumentParser:
    """The parser of `launch.py outpaint`."""
    parser = parser_of(
        "outpaint",
        "Grow a picture, or every picture of a folder, at the sides that are named; its own pixels "
        "stay as they are. --W and --H are the size of the windows that are rendered. ",
    )
    add_init(parser.add_argument_group("input"), STRENGTH)
    _add_growth(parser.add_argument_group("growth"))
    add_generation(parser)
    return parser


def _add_growth(group: argparse._ArgumentGroup) -> None:
    spec = Outpaint()
    for side in SIDES:
        group.add_argument(f"--{side}", type=int, default=0, metavar="PIXELS")
    group.add_argument(
        "--uncrop",
        type=int,
        nargs="?",
        const=spec.uncrop_pixels,
        metavar="PIXELS",
        help=f"grow where the subject is cut, else upwards (default {spec.uncrop_pixels})",
    )
    group.add_argument(
        "--method",
        choices=METHODS,
        default=spec.method,
        help="noise shaped to the picture (default), tiles filled from it, or its edges extended",
    )
    group.add_argument(
        "--mask-blur", type=int, default=spec.mask_blur, metavar="PIXELS", help="of the seam"
    )
    group.add_argument(
        "--fall-off", type=float, default=spec.fall_off, help="exponent of the noise"
    )
    group.add_argument("--colour-variation", type=float, default=spec.colour_variation)
    group.add_argument(
        "--retries", type=int, default=0, metavar="N", help="tries for the side with the worst seam"
    )


def _plan(asked: argparse.Namespace, session: Session, note: Note) -> Plan:
    check(asked)
    pixels = {side: getattr(asked, side) for side in SIDES}
    if asked.uncrop is None and not any(pixels.values()):
        raise ValueError("nothing grows; give --left, --right, --up or --down pixels, or --uncrop")
    spec = Outpaint(
        method=asked.method,
        **pixels,
        uncrop=asked.uncrop is not None,
        **({"uncrop_pixels": asked.uncrop} if asked.uncrop is not None else {}),
        mask_blur=asked.mask_blur,
        fall_off=asked.fall_off,
        colour_variation=asked.colour_variation,
        retries=asked.retries,
    )
    pictures, skipped = read_pictures(asked.init_img, "--init-img", session, note)
    fields = common_fields(asked, session) | {"outpaint": spec, "inpainting_fill": 0}
    return Plan(requests_of(asked, fields, pictures, [{} for _ in pictures]), skipped)
