"""`launch.py img2img`: CompVis's `scripts/img2img.py`, with masks and folders."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from modules.cli.arguments import (
    add_generation,
    check,
    given,
    parser_of,
    prompts_of,
    suggestions,
)
from modules.cli.pictures import InputPicture, read_picture, read_pictures
from modules.cli.run import Command, Note, Plan, run
from modules.cli.session import Session
from modules.requests.generation import GenerationRequest, SoftInpainting

RESIZE_MODES = ("stretch", "crop", "fill", "latent")
MASKED_CONTENTS = ("fill", "original", "noise", "nothing")


def main(arguments: list[str]) -> int:
    """Change the pictures; the exit code."""
    return run(Command(build_parser, _plan, noun="picture"), arguments)


def build_parser() -> argparse.ArgumentParser:
    """The parser of `launch.py img2img`."""
    parser = parser_of(
        "img2img",
        "Change a picture, or every picture of a folder, by a prompt. Flags are those of "
        "CompVis's img2img.py; with --mask only a part is repainted. Without --W, --H and "
        "--resize-by a picture keeps its size. ",
    )
    add_init(parser.add_argument_group("input"))
    _add_mask(parser.add_argument_group("inpainting"))
    _add_shown(parser.add_argument_group("models that are shown more"))
    add_generation(parser)
    return parser


def add_init(group: argparse._ArgumentGroup, strength: float = 0.75) -> None:
    """The picture to begin with, and how much of it may change."""
    group.add_argument(
        "--init-img",
        "--init_img",
        dest="init_img",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="pictures, or folders of them",
    )
    group.add_argument(
        "--strength",
        "--denoising_strength",
        "--denoising-strength",
        dest="strength",
        type=float,
        default=strength,
        help=f"0 keeps the picture, 1 replaces it (default {strength})",
    )


def _add_mask(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--resize-mode", choices=RESIZE_MODES, default="stretch")
    group.add_argument(
        "--resize-by", type=float, metavar="FACTOR", help="the picture's size times this"
    )
    group.add_argument("--mask", type=Path, metavar="FILE", help="white is repainted")
    group.add_argument("--invert-mask", action="store_true", help="black is repainted")
    group.add_argument("--mask-blur", type=int, default=4, metavar="PIXELS", help="(default 4)")
    group.add_argument("--masked-content", choices=MASKED_CONTENTS, default="original")
    group.add_argument(
        "--only-masked", action="store_true", help="render the masked part alone, at --W x --H"
    )
    group.add_argument(
        "--padding", type=int, default=32, metavar="PIXELS", help="around it (default 32)"
    )
    group.add_argument("--soft", action="store_true", help="soft inpainting")


def _add_shown(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--depth-map", type=Path, metavar="FILE", help="for depth models: brighter is nearer"
    )
    group.add_argument(
        "--noise-level",
        type=int,
        metavar="N",
        help="for unCLIP models: noise on what the picture says, 0 (default) to 999",
    )


def _plan(asked: argparse.Namespace, session: Session, note: Note) -> Plan:
    check(asked)
    if asked.mask is None and (asked.invert_mask or asked.only_masked or asked.soft):
        raise ValueError("--invert-mask, --only-masked and --soft need --mask")
    if asked.resize_by is not None and (asked.width or asked.height):
        raise ValueError("--resize-by and --W, --H exclude each other")
    pictures, skipped = read_pictures(asked.init_img, "--init-img", session, note)
    mask = read_picture(asked.mask, "--mask", session) if asked.mask else None
    depth = read_picture(asked.depth_map, "--depth-map", session) if asked.depth_map else None
    fields = common_fields(asked, session) | {
        "depth_map": depth.ref if depth else None,
        "noise_level": asked.noise_level,
        "resize_mode": RESIZE_MODES.index(asked.resize_mode),
        "scale_by": asked.resize_by,
        "mask": mask.ref if mask else None,
        "mask_blur": asked.mask_blur,
        "inpainting_fill": MASKED_CONTENTS.index(asked.masked_content),
        "inpainting_mask_invert": int(asked.invert_mask),
        "inpaint_full_res": asked.only_masked,
        "inpaint_full_res_padding": asked.padding,
        "soft_inpainting": SoftInpainting() if asked.soft else None,
    }
    if not asked.only_masked:
        sizes = [size_of(asked, picture) for picture in pictures]
    else:
        sizes = [{} for _ in pictures]  # the checkpoint's, unless --W and --H say otherwise
    return Plan(requests_of(asked, fields, pictures, sizes), skipped)


def common_fields(asked: argparse.Namespace, session: Session) -> dict[str, Any]:
    """Fields of an img2img request that do not depend on the picture."""
    checkpoint = session.checkpoint(asked.ckpt)
    fields = {
        **GenerationRequest.IMG2IMG_UI_DEFAULTS,
        **suggestions(session.suggestions(checkpoint)),
        **given(asked),
        "denoising_strength": asked.strength,
    }
    fields["override_settings"]["sd_model_checkpoint"] = checkpoint.title
    return fields


def requests_of(
    asked: argparse.Namespace,
    fields: dict[str, Any],
    pictures: list[InputPicture],
    sizes: list[dict[str, int]],
) -> list[GenerationRequest]:
    """One request per picture and prompt; results of several pictures keep the files' names."""
    repeats = asked.n_iter if asked.fixed_code else 1
    prompts = prompts_of(asked)
    return [
        GenerationRequest(
            **{
                **fields,
                **size,
                "prompt": prompt,
                "init_images": [picture.stored.ref],
                "output_name": picture.path.stem if len(pictures) > 1 else None,
            }
        )
        for picture, size in zip(pictures, sizes, strict=True)
        for prompt in prompts
        for _ in range(repeats)
    ]


def size_of(asked: argparse.Namespace, picture: InputPicture) -> dict[str, int]:
    """Width and height: as the flags say, the missing one by the picture's aspect ratio."""
    width, height = picture.stored.width, picture.stored.height
    if asked.width and not asked.height:
        width, height = asked.width, round(height * asked.width / width)
    elif asked.height and not asked.width:
        width, height = round(width * asked.height / height), asked.height
    elif asked.width:
        width, height = asked.width, asked.height
    return {"width": max(8, width), "height": max(8, height)}
