"""Package the trained parts as a diffusers folder that any Stable Diffusion program can load."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file

from tools.starter.chinese import write_dictionary
from tools.starter.concepts import load_concepts
from tools.starter.config import Config
from tools.starter.fetch import sources_of
from tools.starter.neighbours import find_neighbours, teach_neighbours
from tools.starter.sampling import build_scheduler
from tools.starter.steps import save_atomically
from tools.starter.text_encoder import load_text_encoder
from tools.starter.tokenizer import build_tokenizer
from tools.starter.torchvision_guard import define_missing_ops
from tools.starter.unet import build_unet
from tools.starter.vae import load_vae

define_missing_ops()

from diffusers import StableDiffusionPipeline  # noqa: E402

_PARTS = (
    ("text_encoder", "model.safetensors", ("text.pt",)),
    ("unet", "diffusion_pytorch_model.safetensors", ("unet.pt",)),
    ("vae", "diffusion_pytorch_model.safetensors", ("vae.pt", "vae-refined.pt")),
)

log = logging.getLogger(__name__)
LICENCES = Path(__file__).with_name("licences")
DICTIONARY = "zh.json"
EXAMPLES = (
    "a red apple on a blue background",
    "a dog on a green background",
    "a blue car",
    "a castle",
    "a penguin",
    "a purple fish",
    "a rocket on a yellow background",
    "a hamburger",
    "a snowman, light blue background",
    "a teapot on a light blue background",
    "a star on a purple background",
    "a strawberry",
    "蓝色背景上的红苹果",
)
"""What the page offers; each was looked at."""
_TOKENIZER_FILES = ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json")


def assemble(config: Config) -> StableDiffusionPipeline:
    """Put the newest parts together; a UNet that was never trained stays random.

    Words beside the captions' are taught here, not in training: see `neighbours`.
    """
    refined = (config.run / "vae-refined.pt").exists()
    unet = build_unet(config)
    if (config.run / "unet.pt").exists():
        unet.load_state_dict(torch.load(config.run / "unet.pt", map_location="cpu"))
    else:
        log.warning("no trained UNet yet: packaging a random one")
    tokenizer, encoder = build_tokenizer(config), load_text_encoder(config)
    body = encoder.text_model if hasattr(encoder, "text_model") else encoder
    neighbours = find_neighbours(config, load_concepts(config.downloads))
    table = body.embeddings.token_embedding.weight
    teach_neighbours(table, tokenizer.get_vocab(), neighbours)
    return StableDiffusionPipeline(
        vae=load_vae(config, "vae-refined.pt" if refined else "vae.pt"),
        text_encoder=encoder,
        tokenizer=tokenizer,
        unet=unet.eval(),
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def package(config: Config) -> Path:
    """Write the model folder; each file is replaced in one rename, the card is left alone."""
    pipeline = assemble(config).to(torch.float16)
    config.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=config.work) as name:
        made = Path(name)
        pipeline.save_pretrained(made, safe_serialization=True)
        _tidy_tokenizer(config, made / "tokenizer")
        (made / "licences").mkdir()
        for source in sources_of(config.styles):
            shutil.copyfile(LICENCES / f"{source.key}.txt", made / "licences" / f"{source.key}.txt")
        shutil.copyfile(LICENCES / "model.txt", made / "LICENSE")
        (made / "NOTICE").write_text(_notice(config), encoding="utf-8")
        write_dictionary(load_concepts(config.downloads), config.downloads, made / DICTIONARY)
        (made / "easel.json").write_text(_sidecar(config), encoding="utf-8")
        for path in sorted(made.rglob("*")):
            if path.is_file():
                target = config.output / path.relative_to(made)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.chmod(0o644)
                os.replace(path, target)
    size = sum(path.stat().st_size for path in config.output.rglob("*") if path.is_file())
    log.info("packaged %s, %.1f MiB", config.output, size / 2**20)
    return config.output


def unpack(config: Config) -> None:
    """Put the packaged parts back into the work folder, so that training can go on from them.

    The averaged weights are all that is needed: each stretch starts with a fresh optimiser.
    """
    config.run.mkdir(parents=True, exist_ok=True)
    for folder, name, targets in _PARTS:
        state = {
            key: value.float() for key, value in load_file(config.output / folder / name).items()
        }
        for target in targets:
            save_atomically(state, config.run / target)
    for name in _TOKENIZER_FILES:
        target = config.run / "tokenizer" / name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(config.output / "tokenizer" / name, target)
    log.info("the packaged model's parts are in %s", config.run)


def _tidy_tokenizer(config: Config, folder: Path) -> None:
    for name in _TOKENIZER_FILES:
        source = config.run / "tokenizer" / name
        if source.suffix == ".json":
            content = json.loads(source.read_text(encoding="utf-8"))
            text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
            (folder / name).write_text(text + "\n", encoding="utf-8")
        else:
            shutil.copyfile(source, folder / name)
    special = {
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
    }
    text = json.dumps(special, indent=2) + "\n"
    (folder / "special_tokens_map.json").write_text(text, encoding="utf-8")


def _notice(config: Config) -> str:
    lines = [
        "easel-starter",
        "A small Stable Diffusion model trained from scratch by the Easel project.",
        "Its weights are licensed under the Apache License 2.0 (file LICENSE).",
        "",
        "It was made from the following works; their licences are in the folder licences/.",
    ]
    for source in sources_of(config.styles):
        lines.append(
            f"- {source.name} {source.version} ({source.licence}): {source.used_for}; "
            f"licences/{source.key}.txt"
        )
    return "\n".join(lines) + "\n"


def _sidecar(config: Config) -> str:
    content = {
        "description": "Easel's own starter model: things in a flat cartoon style, 128 x 128 "
        "pixels. Ask for one thing of its vocabulary, in a colour, on a plain colour.",
        "default_parameters": {
            "width": config.picture_size,
            "height": config.picture_size,
            "steps": config.sampling_steps,
            "sampler_name": "DDIM",
            "cfg_scale": config.guidance_scale,
            # Enlarged by a network made for drawings: crisp edges, clean backgrounds.
            "enable_hr": True,
            "hr_scale": 4.0,
            "hr_upscaler": "R-ESRGAN 4x+ Anime6B",
            "denoising_strength": 0.0,
        },
        "dictionary": DICTIONARY,
        "example_prompts": list(EXAMPLES),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
