"""`launch.py merge`: one checkpoint of two or three."""

from __future__ import annotations

import argparse

from modules.catalog.merge_blocks import PRESETS, input_blocks, preset
from modules.catalog.weights import weights_header
from modules.cli.arguments import parser_of
from modules.cli.run import Command, Note, Plan, run
from modules.cli.session import Session
from modules.requests.models import METHODS, MergeRequest


def main(arguments: list[str]) -> int:
    """Merge; the exit code."""
    return run(Command(build_parser, _plan, noun="model"), arguments)


def build_parser() -> argparse.ArgumentParser:
    """The parser of `launch.py merge`."""
    parser = parser_of(
        "merge",
        "Make one checkpoint of two or three: A·(1-M) + B·M of two, A + (B-C)·M of three; of one "
        "it makes a copy, with another VAE, say. The result goes to the folder of checkpoints. ",
    )
    parser.add_argument(
        "models", nargs="+", metavar="MODEL", help="A, B and C: paths, titles, names or hashes"
    )
    group = parser.add_argument_group("how")
    group.add_argument("--method", choices=METHODS, help="default: by the number of models")
    group.add_argument(
        "--multiplier", "-M", dest="multiplier", type=float, default=0.3, help="M (default 0.3)"
    )
    group.add_argument(
        "--block-weights",
        metavar="M,M,…",
        help="M for each block of the UNet: 25 numbers for SD 1 and 2, 19 for SDXL; one more in "
        "front is for the rest",
    )
    group.add_argument("--preset", choices=PRESETS, help="ready-made block weights")
    group.add_argument("--vae", metavar="NAME", help="VAE to bake in, by its file name")
    group.add_argument("--half", action="store_true", help="save as float16")
    group.add_argument("--discard", default="", metavar="REGEX", help="weights to leave out")
    group.add_argument(
        "--config-from", type=int, choices=range(4), default=0, help="0 A, B or C, 1 B, 2 C, 3 none"
    )
    add_result(parser)
    group = parser.add_argument_group("metadata")
    group.add_argument("--metadata", metavar="JSON", help="entries to write into the file")
    group.add_argument("--no-metadata", action="store_true", help="write none at all")
    group.add_argument("--no-recipe", action="store_true", help="do not say what was merged")
    return parser


def add_result(parser: argparse.ArgumentParser) -> None:
    """The flags about the file that is made."""
    group = parser.add_argument_group("where to")
    group.add_argument("--name", default="", help="of the result, without extension")
    group.add_argument("--overwrite", action="store_true", help="replace a file of that name")
    group.add_argument("--quiet", action="store_true", help="no progress line")


def _plan(asked: argparse.Namespace, session: Session, note: Note) -> Plan:
    models = [session.model(name) for name in asked.models]
    if len(models) > len(METHODS):
        raise ValueError(f"{len(models)} models; allowed: one, two or three")
    method = asked.method or METHODS[len(models) - 1]
    a, b, c = [*models, "", ""][:3]
    return Plan(
        [
            MergeRequest(
                primary_model_name=a,
                secondary_model_name=b,
                tertiary_model_name=c,
                interp_method=method,
                multiplier=asked.multiplier,
                block_weights=_block_weights(asked, session, a),
                save_as_half=asked.half,
                custom_name=asked.name,
                overwrite=asked.overwrite,
                config_source=asked.config_from,
                bake_in_vae=asked.vae or "None",
                discard_weights=asked.discard,
                save_metadata=not asked.no_metadata,
                add_merge_recipe=not asked.no_recipe,
                metadata_json=asked.metadata or {},
            )
        ]
    )


def _block_weights(asked: argparse.Namespace, session: Session, model: str) -> object:
    if asked.preset and asked.block_weights:
        raise ValueError("--preset and --block-weights exclude each other")
    if not asked.preset:
        return asked.block_weights or []
    info = session.catalog.find_checkpoint(model)
    inputs = 0 if info.kind == "folder" else input_blocks(weights_header(info.path))
    if not inputs:
        raise ValueError("--preset: the blocks of this model are not known; use --block-weights")
    return preset(asked.preset, 2 * inputs + 1)
