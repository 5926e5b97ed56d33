"""`launch.py extras`: upscaling and face restoration, with the flags of Real-ESRGAN's script."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from modules.cli.arguments import parser_of
from modules.cli.pictures import InputPicture, read_pictures
from modules.cli.run import Command, Note, Plan, run
from modules.cli.session import Session
from modules.requests.errors import RequestError
from modules.requests.extras import ExtrasRequest


def main(arguments: list[str]) -> int:
    """Work on the pictures; the exit code."""
    return run(Command(build_parser, _plan, noun="picture"), arguments)


def build_parser() -> argparse.ArgumentParser:
    """The parser of `launch.py extras`."""
    parser = parser_of(
        "extras",
        "Upscale pictures and restore faces in them. What cannot be read in a folder is named and "
        "skipped. ",
    )
    _add_input(parser.add_argument_group("input"))
    _add_upscaling(parser.add_argument_group("upscaling"))
    _add_faces(parser.add_argument_group("faces"))
    group = parser.add_argument_group("where to")
    group.add_argument(
        "--outdir", "-o", "--output", dest="outdir", type=Path, help="folder for the results"
    )
    group.add_argument("--quiet", action="store_true", help="no progress line")
    return parser


def _add_input(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--input",
        "-i",
        dest="input",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="pictures, or folders of them",
    )


def _add_upscaling(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--upscaler",
        "--model_name",
        "-n",
        dest="upscaler",
        default="None",
        metavar="NAME",
        help='as on the page, "R-ESRGAN 4x+" say; a wrong name lists all',
    )
    group.add_argument(
        "--scale", "--outscale", "-s", dest="scale", type=float, help="factor (default 4)"
    )
    group.add_argument("--to", nargs=2, type=int, metavar=("W", "H"), help="or a size in pixels")
    group.add_argument("--no-crop", action="store_true", help="with --to: fit inside, cut nothing")
    group.add_argument("--upscaler2", default="None", metavar="NAME", help="blended over the first")
    group.add_argument("--upscaler2-visibility", type=float, default=0.0, metavar="0..1")


def _add_faces(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--gfpgan", type=float, default=0.0, metavar="0..1", help="visibility")
    group.add_argument("--codeformer", type=float, default=0.0, metavar="0..1", help="visibility")
    group.add_argument(
        "--codeformer-weight",
        type=float,
        default=0.0,
        metavar="0..1",
        help="0 changes most, 1 least (default 0)",
    )
    group.add_argument("--face_enhance", action="store_true", help="the same as --gfpgan 1")
    group.add_argument("--upscale-first", action="store_true", help="before the faces are restored")


def _plan(asked: argparse.Namespace, session: Session, note: Note) -> Plan:
    fields = _fields(asked)
    pictures, skipped = read_pictures(asked.input, "--input", session, note)
    requests = []
    for picture in pictures:
        request = ExtrasRequest(**fields, **_of(picture))
        try:
            session.check(request)
        except RequestError as error:
            if len(pictures) == 1 or error.field not in ("image", "upscaling_resize"):
                raise
            note(f"Skipped {picture.path}: {error.sentence}")
            skipped += 1
            continue
        requests.append(request)
    return Plan(requests, skipped)


def _of(picture: InputPicture) -> dict[str, Any]:
    return {"images": [picture.stored.ref], "names": [picture.path.name]}


def _fields(asked: argparse.Namespace) -> dict[str, Any]:
    """The request's fields that do not depend on the picture.

    Raises:
        ValueError: there is nothing to do, or two flags exclude each other.
    """
    if asked.to and asked.scale is not None:
        raise ValueError("--scale and --to exclude each other")
    gfpgan = 1.0 if asked.face_enhance and not asked.gfpgan else asked.gfpgan
    if asked.upscaler == "None" and not gfpgan and not asked.codeformer:
        raise ValueError("nothing to do; name an --upscaler, or give --gfpgan or --codeformer")
    fields: dict[str, Any] = {
        "upscaler_1": asked.upscaler,
        "upscaler_2": asked.upscaler2,
        "extras_upscaler_2_visibility": asked.upscaler2_visibility,
        "upscale_first": asked.upscale_first,
        "gfpgan_visibility": gfpgan,
        "codeformer_visibility": asked.codeformer,
        "codeformer_weight": asked.codeformer_weight,
        "save_images": True,
        "upscaling_resize": 4.0 if asked.scale is None else asked.scale,
    }
    if asked.to:
        width, height = asked.to
        fields |= {"resize_mode": 1, "upscaling_resize_w": width, "upscaling_resize_h": height}
        fields["upscaling_crop"] = not asked.no_crop
    if asked.outdir is not None:
        fields["output_folder"] = str(asked.outdir.expanduser().resolve())
    return fields
