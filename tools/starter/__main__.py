"""Command line: `python -m tools.starter <step>`."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from tools.starter import steps
from tools.starter.concepts import load_concepts
from tools.starter.config import Config
from tools.starter.fetch import fetch_all
from tools.starter.rasterise import load_drawings

_SHARES = {
    "fetch": 0.0,
    "vae": 0.12,
    "text": 0.06,
    "unet": 0.62,
    "refine": 0.2,
    "package": 0.0,
    "evaluate": 0.0,
}
"""The steps in order, and which part of the time `all` gives to each."""


def main() -> None:
    """Run one step of the recipe, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m tools.starter", description=__doc__)
    parser.add_argument("step", choices=[*_SHARES, "all"])
    parser.add_argument("--minutes", type=float, default=15, help="time for a training step")
    parser.add_argument("--until", metavar="HH:MM", help="end of the training, for --minutes")
    parser.add_argument("--phase", default="base", help="name of a stretch of UNet training")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Config.work)
    parser.add_argument("--output", type=Path, default=Config.output)
    parser.add_argument("--sheets", type=Path, default=Config.sheets)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    torch.set_num_threads(given.threads)
    config = Config(
        work=given.work,
        output=given.output,
        sheets=given.sheets,
        device=given.device,
        threads=given.threads,
    )
    _run(given, config)


def _run(given: argparse.Namespace, config: Config) -> None:
    minutes = steps.minutes_until(given.until) if given.until else given.minutes
    if given.step != "all":
        _run_step(given.step, config, minutes, given.phase)
        return
    for step, share in _SHARES.items():
        _run_step(step, config, minutes * share, given.phase)


def _run_step(step: str, config: Config, minutes: float, phase: str) -> None:
    """Run one step; each imports its own heavy libraries, and only those."""
    if step == "fetch":
        fetch_all(config.downloads)
    elif step == "package":
        from tools.starter.package import package

        package(config)
    elif step == "evaluate":
        from tools.starter.evaluate import evaluate

        evaluate(config)
    else:
        _train(step, config, minutes, phase)


def _train(step: str, config: Config, minutes: float, phase: str) -> None:
    concepts = load_concepts(config.downloads)
    drawings = load_drawings(concepts, config.downloads, config.run, config.picture_size)
    drawn = [row for row, concept in enumerate(concepts) if concept.drawn]
    if step == "vae":
        from tools.starter.vae import train_vae

        train_vae(config, drawings, drawn, minutes)
    elif step == "text":
        from tools.starter.text_encoder import train_text_encoder

        train_text_encoder(config, concepts, minutes)
    elif step == "unet":
        from tools.starter.unet import train_unet

        train_unet(config, concepts, drawings, minutes, phase)
    elif step == "refine":
        from tools.starter.refine import refine_decoder

        refine_decoder(config, drawings, drawn, minutes)


if __name__ == "__main__":
    main()
