"""Command line: `python -m tools.starter <step>`."""

from __future__ import annotations

import argparse
import dataclasses
import logging

import torch

from tools.starter import steps
from tools.starter.concepts import load_concepts
from tools.starter.config import Config
from tools.starter.rasterise import load_drawings


def main() -> None:
    """Run one step of the recipe."""
    parser = argparse.ArgumentParser(prog="python -m tools.starter", description=__doc__)
    parser.add_argument("step", choices=["fetch", "vae", "text", "decoder", "unet"])
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--until", help="HH:MM, instead of --minutes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    torch.set_num_threads(given.threads)
    config = dataclasses.replace(Config(), device=given.device, threads=given.threads)
    minutes = steps.minutes_until(given.until) if given.until else given.minutes
    concepts = load_concepts(config.downloads)
    drawings = load_drawings(concepts, config.downloads, config.run, config.picture_size)
    drawn = [row for row, concept in enumerate(concepts) if concept.drawn]
    if given.step == "vae":
        from tools.starter.vae import train_vae

        train_vae(config, drawings, drawn, minutes)
    elif given.step == "text":
        from tools.starter.text_encoder import train_text_encoder

        train_text_encoder(config, concepts, minutes)


if __name__ == "__main__":
    main()
