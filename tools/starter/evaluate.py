"""Contact sheets of the packaged model, made with plain diffusers."""

from __future__ import annotations

import json
import logging
import random
import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from tools.starter.captions import with_article
from tools.starter.concepts import load_concepts, read_vocabulary
from tools.starter.config import REPOSITORY, Config
from tools.starter.hues import HUES
from tools.starter.judge import Examiner
from tools.starter.layouts import ROWS, SMALL, Director, Layout, Placed
from tools.starter.rasterise import load_drawings
from tools.starter.sampling import read_judged_prompts, read_prompts
from tools.starter.steps import to_pictures, to_pixels
from tools.starter.torchvision_guard import define_missing_ops

define_missing_ops()

from diffusers import StableDiffusionPipeline  # noqa: E402

log = logging.getLogger(__name__)
_CAPTION_HEIGHT = 14
_COUNTS = {2: "two", 3: "three", 4: "four"}
REFERENCES = REPOSITORY / "tests" / "starter" / "reference"
REFERENCE_PROMPTS = {
    "apple": "a red apple on a blue background",
    "cat-and-dog": "a cat and a dog",
}
FORTY_SEEDS = (1, 1001)
"""First seeds of the two tries at the forty prompts."""


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


def evaluate(config: Config, thorough: bool = False) -> None:
    """Write the sheets and `scores.json` into the configured folder.

    `thorough` draws every thing of the vocabulary too (some minutes).
    """
    folder = config.sheets
    folder.mkdir(parents=True, exist_ok=True)
    pipeline = load_pipeline(config.output)
    for name, prompts, columns in (
        ("fixed-prompts", read_prompts(), 5),
        ("blind-draw", vocabulary_draw(40, seed=7), 8),
    ):
        save_sheet(sheet(draw(pipeline, prompts, config), prompts, columns), folder / f"{name}.png")
    judged = read_judged_prompts()
    prompts = [prompt for prompt, _ in judged]
    both = [draw(pipeline, prompts, config, seed=seed) for seed in FORTY_SEEDS]
    pictures = [picture for pair in zip(*both, strict=True) for picture in pair]
    captions = [text for prompt in prompts for text in (prompt, "")]
    save_sheet(sheet(pictures, captions, 8), folder / "forty-prompts.png")
    if not (config.run / "judge.pt").exists():
        log.warning("no judge yet: no scores (run the step judge)")
        return
    scores = score_prompts(config, judged, both)
    if thorough:
        scores["vocabulary"] = score_vocabulary(config, pipeline)
    (folder / "scores.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")


def reference_picture(pipeline: StableDiffusionPipeline, prompt: str) -> Image.Image:
    """Draw the picture by which a later change is noticed: eight steps, seed 1, CFG 3."""
    made = pipeline(
        prompt,
        width=128,
        height=128,
        num_inference_steps=8,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(1),
    )
    return made.images[0]


def write_references(config: Config) -> None:
    """Draw the reference pictures of the tests again, after the weights have changed."""
    REFERENCES.mkdir(parents=True, exist_ok=True)
    pipeline = load_pipeline(config.output)
    for name, prompt in REFERENCE_PROMPTS.items():
        reference_picture(pipeline, prompt).save(REFERENCES / f"{name}.png", optimize=True)
        log.info("wrote %s", REFERENCES / f"{name}.png")


def save_sheet(page: Image.Image, path: Path) -> None:
    """Save a sheet small: 256 colours are enough for flat pictures."""
    page.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    log.info("wrote %s", path)


def score_prompts(
    config: Config,
    judged: list[tuple[str, tuple[str, ...]]],
    both: list[list[Image.Image]],
) -> dict[str, object]:
    """Let the judge rank the forty prompts' pictures, and renderings of the same scenes.

    The renderings go through the autoencoder, as no picture of the model can be sharper than that.
    """
    examiner = Examiner(config)
    wanted = [labels for _, labels in judged]
    made = [examiner.ranks(np.stack([np.asarray(one) for one in row]), wanted) for row in both]
    real = examiner.ranks(real_pictures(config, judged), wanted)
    top1 = sum(score.top1 for score in made) / len(made)
    top5 = sum(score.top5 for score in made) / len(made)
    log.info("generated: top-1 %.3f, top-5 %.3f", top1, top5)
    log.info("renderings: top-1 %.3f, top-5 %.3f", real.top1, real.top5)
    return {
        "generated": {"top1": round(top1, 4), "top5": round(top5, 4)},
        "renderings": {"top1": round(real.top1, 4), "top5": round(real.top5, 4)},
        "ranks": {
            prompt: {
                "generated": [list(score.ranks[row]) for score in made],
                "renderings": list(real.ranks[row]),
            }
            for row, (prompt, _) in enumerate(judged)
        },
    }


def score_vocabulary(config: Config, pipeline: StableDiffusionPipeline) -> dict[str, object]:
    """Draw each thing once on white and let the judge rank it among all."""
    entries = [entry for entry in read_vocabulary() if entry.drawn]
    examiner, first, fifth, missed = Examiner(config), 0.0, 0.0, []
    for start in range(0, len(entries), 40):
        part = entries[start : start + 40]
        prompts = [with_article(entry.names[0]) for entry in part]
        pictures = draw(pipeline, prompts, config, seed=100 + start)
        wanted = [(entry.label,) for entry in part]
        score = examiner.ranks(np.stack([np.asarray(one) for one in pictures]), wanted)
        first, fifth = first + score.top1 * len(part), fifth + score.top5 * len(part)
        missed += [p for p, ranks in zip(prompts, score.ranks, strict=True) if ranks[0] > 5]
    judged = [(with_article(entry.names[0]), (entry.label,)) for entry in entries]
    real = examiner.ranks(real_pictures(config, judged), [labels for _, labels in judged])
    return {
        "things": len(entries),
        "generated": {
            "top1": round(first / len(entries), 4),
            "top5": round(fifth / len(entries), 4),
        },
        "renderings": {"top1": round(real.top1, 4), "top5": round(real.top5, 4)},
        "not_among_five": missed,
    }


@torch.no_grad()
def real_pictures(config: Config, judged: list[tuple[str, tuple[str, ...]]]) -> np.ndarray:
    """Render the scenes that prompts ask for, and put them through the packaged autoencoder."""
    concepts = load_concepts(config.downloads)
    drawings = load_drawings(concepts, config.downloads, config.run, config.picture_size)
    director = Director(config, concepts, drawings, config.seed)
    rows = {concept.label: row for row, concept in enumerate(concepts)}
    painted = [
        director.paint(scene_of(prompt, [rows[label] for label in labels], config))
        for prompt, labels in judged
    ]
    vae, parts = load_pipeline(config.output).vae, []
    for start in range(0, len(painted), 32):
        pixels = to_pixels(np.stack(painted[start : start + 32]))
        parts.append(to_pictures(vae.decode(vae.encode(pixels).latent_dist.mean).sample))
    return np.concatenate(parts)


def scene_of(prompt: str, concepts: list[int], config: Config) -> Layout:
    """The scene that a simple prompt asks for: things, count, colour and background."""
    names = [colour.name for colour in config.backgrounds]
    ground = 0
    match = re.search(r"(?:on an? |, )([a-z ]+?) background", prompt)
    if match and match[1] in names:
        ground = names.index(match[1])
    words = set((prompt[: match.start()] if match else prompt).split())
    hue = next((one.name for one in HUES if one.name in words), None)
    count = next((number for number, word in _COUNTS.items() if word in words), len(concepts))
    if count == 1:
        edge = (1 - config.object_size) / 2
        placed = (Placed(concepts[0], edge, edge, config.object_size, hue),)
    else:
        shown = concepts if len(concepts) > 1 else concepts * count
        placed = tuple(
            Placed(concept, *place, SMALL)
            for concept, place in zip(shown, ROWS[count], strict=True)
        )
    return Layout("asked", ground, placed, prompt)
