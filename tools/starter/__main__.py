"""Command line: `python -m tools.starter <step>`."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path

import torch

from tools.starter import steps
from tools.starter.concepts import load_concepts
from tools.starter.config import Config, full_plan, on_device
from tools.starter.fetch import fetch_all
from tools.starter.rasterise import load_drawings
from tools.starter.styles import with_styles

_RECIPE: tuple[tuple[str, str, float], ...] = (
    ("fetch", "", 0.0),
    ("vae", "", 0.08),
    ("text", "", 0.04),
    ("unet", "base", 0.4),
    ("refine", "", 0.12),
    ("unet", "more", 0.2),
    ("unet", "third", 0.12),
    ("judge", "", 0.04),
    ("package", "", 0.0),
    ("evaluate", "", 0.0),
)
"""What `all` does: steps, the stretch of the UNet's training, and their parts of the time."""
_CHANGES = ("picture_size", "live", "half", "compiled", "unet_batch")


def main() -> None:
    """Run one step of the recipe, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m tools.starter", description=__doc__)
    parser.add_argument(
        "step", choices=[*dict.fromkeys(step for step, *_ in _RECIPE), "unpack", "all"]
    )
    parser.add_argument("--minutes", type=float, default=15, help="time for a training step")
    parser.add_argument("--until", metavar="HH:MM", help="end of the training, for --minutes")
    parser.add_argument("--phase", help="stretch of the UNet's training: base or more")
    parser.add_argument("--thorough", action="store_true", help="evaluate every thing too")
    parser.add_argument("--samples", type=int, default=0, help="end `unet` after so many instead")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Config.work)
    parser.add_argument("--output", type=Path, default=Config.output)
    parser.add_argument("--sheets", type=Path, default=Config.sheets)
    parser.add_argument("--plan", choices=["starter", "full"], default="starter")
    parser.add_argument("--picture-size", type=int, metavar="PIXELS", help="128 or 256")
    whether = argparse.BooleanOptionalAction
    parser.add_argument("--live", action=whether, help="new scenes for every batch")
    parser.add_argument("--half", action=whether, help="train in bfloat16")
    parser.add_argument("--compiled", action=whether, help="use torch.compile")
    parser.add_argument("--unet-batch", type=int, metavar="N")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    torch.set_num_threads(given.threads)
    config = Config(
        work=given.work,
        output=given.output,
        sheets=given.sheets,
        threads=given.threads,
    )
    if given.plan == "full":
        config = full_plan(config)
    config = on_device(config, given.device)
    changes = {name: getattr(given, name) for name in _CHANGES if getattr(given, name) is not None}
    config = replace(config, **changes)
    _run(given, config)


def _run(given: argparse.Namespace, config: Config) -> None:
    minutes = steps.minutes_until(given.until) if given.until else given.minutes
    if given.step != "all":
        _run_step(given.step, config, minutes, given.phase or "base", given)
        return
    for step, phase, share in _RECIPE:
        _run_step(step, config, minutes * share, phase, given)


def _run_step(
    step: str, config: Config, minutes: float, phase: str, given: argparse.Namespace
) -> None:
    """Run one step; each imports its own heavy libraries, and only those."""
    if step == "fetch":
        fetch_all(config.downloads, config.styles)
    elif step == "package":
        from tools.starter.package import package

        package(config)
    elif step == "unpack":
        from tools.starter.package import unpack

        unpack(config)
    elif step == "evaluate":
        from tools.starter.evaluate import evaluate, write_references

        if config.output == Config.output:
            write_references(config)
        evaluate(config, given.thorough)
    else:
        _train(step, config, minutes, phase, given.samples)


def _train(step: str, config: Config, minutes: float, phase: str, samples: int) -> None:
    concepts = load_concepts(config.downloads, config.every_concept)
    if step == "text":
        from tools.starter.text_encoder import train_text_encoder

        train_text_encoder(config, concepts, minutes)
        return
    drawings = load_drawings(concepts, config.downloads, config.run, config.picture_size)
    concepts, drawings = with_styles(config, concepts, drawings)
    drawn = [row for row, concept in enumerate(concepts) if concept.drawn]
    if step == "vae":
        from tools.starter.vae import train_vae

        train_vae(config, drawings, drawn, minutes)
    elif step == "unet":
        from tools.starter.unet import train_unet

        train_unet(config, concepts, drawings, minutes, phase, samples)
    elif step == "judge":
        from tools.starter.judge import train_judge

        train_judge(config, concepts, drawings, minutes)
    elif step == "refine":
        from tools.starter.refine import refine_decoder

        refine_decoder(config, drawings, drawn, minutes)


if __name__ == "__main__":
    main()
