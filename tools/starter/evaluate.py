"""Contact sheets of the packaged model, made with plain diffusers."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from tools.starter.captions import with_article
from tools.starter.concepts import read_vocabulary
from tools.starter.config import Config
from tools.starter.sampling import read_prompts
from tools.starter.torchvision_guard import define_missing_ops

define_missing_ops()

from diffusers import StableDiffusionPipeline  # noqa: E402

log = logging.getLogger(__name__)
_CAPTION_HEIGHT = 14


def load_pipeline(folder: Path) -> StableDiffusionPipeline:
    """Load the model folder as any program with diffusers would, in float32."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw(
    pipeline: StableDiffusionPipeline,
    prompts: list[str],
    config: Config,
    size: int = 128,
    seed: int = 1,
) -> list[Image.Image]:
    """Draw one picture for each prompt; picture `i` has seed `seed + i`."""
    generators = [torch.Generator().manual_seed(seed + i) for i in range(len(prompts))]
    return pipeline(
        prompts,
        width=size,
        height=size,
        num_inference_steps=config.sampling_steps,
        guidance_scale=config.guidance_scale,
        generator=generators,
    ).images


def sheet(pictures: list[Image.Image], captions: list[str], columns: int = 5) -> Image.Image:
    """Lay the pictures out in a grid with their captions below them."""
    width, height = pictures[0].size
    rows = -(-len(pictures) // columns)
    page = Image.new("RGB", (columns * width, rows * (height + _CAPTION_HEIGHT)), "white")
    pen = ImageDraw.Draw(page)
    for index, (picture, text) in enumerate(zip(pictures, captions, strict=True)):
        left, top = index % columns * width, index // columns * (height + _CAPTION_HEIGHT)
        page.paste(picture, (left, top))
        pen.text((left + 2, top + height + 1), _fitted(pen, text, width - 4), fill="black")
    return page


def _fitted(pen: ImageDraw.ImageDraw, text: str, width: int) -> str:
    text = text.replace(" background", "")
    while pen.textlength(text) > width:
        text = text[:-1]
    return text


def vocabulary_draw(count: int, seed: int) -> list[str]:
    """Return prompts for `count` concepts drawn blindly from the drawable vocabulary."""
    entries = [entry for entry in read_vocabulary() if entry.drawn]
    chosen = random.Random(seed).sample(entries, count)
    return [with_article(entry.names[0]) for entry in chosen]


def evaluate(config: Config) -> None:
    """Write the two sheets into `folder`: the fixed prompts and a blind draw of forty."""
    folder = config.sheets
    folder.mkdir(parents=True, exist_ok=True)
    pipeline = load_pipeline(config.output)
    for name, prompts in (
        ("fixed-prompts", read_prompts()),
        ("blind-draw", vocabulary_draw(40, seed=7)),
    ):
        columns = 5 if len(prompts) <= 20 else 8
        page = sheet(draw(pipeline, prompts, config), prompts, columns)
        small = page.quantize(256, dither=Image.Dither.NONE)
        small.save(folder / f"{name}.png", optimize=True)
        log.info("wrote %s", folder / f"{name}.png")
