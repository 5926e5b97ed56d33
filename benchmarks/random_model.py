"""A model of Stable Diffusion 1.5's exact shape with random weights: speed does not need art."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from benchmarks.plan import ROOT

CONFIGS = ROOT / "configs" / "sd15"
TOKENIZER = ROOT / "configs" / "tokenizers" / "clip"
DONE = "model_index.json"


def provide(folder: Path) -> Path:
    """Make the model in ``folder`` unless it is there: 1.07 billion weights in fp16, 2.1 GB.

    Runs in the benchmark's own helper process, because it needs torch.
    """
    target = folder / "sd15-random"
    if (target / DONE).is_file():
        return target
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    _write_networks(target)
    shutil.copytree(CONFIGS / "scheduler", target / "scheduler")
    shutil.copytree(TOKENIZER, target / "tokenizer")
    index = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.42.1",
        "feature_extractor": [None, None],
        "safety_checker": [None, None],
        "requires_safety_checker": False,
        "scheduler": ["diffusers", _scheduler_class(target)],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (target / DONE).write_text(json.dumps(index, indent=2), encoding="utf-8")
    return target


def _scheduler_class(target: Path) -> str:
    config = json.loads((target / "scheduler" / "scheduler_config.json").read_text("utf-8"))
    return config.get("_class_name", "PNDMScheduler")


def _write_networks(target: Path) -> None:
    import torch

    from modules.engine.compat.torchvision_ops import make_torchvision_importable

    make_torchvision_importable()
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    builders = {
        "unet": lambda config: UNet2DConditionModel.from_config(config),
        "vae": lambda config: AutoencoderKL.from_config(config),
        "text_encoder": lambda config: CLIPTextModel(CLIPTextConfig(**config)),
    }
    for name, build in builders.items():
        config = json.loads((CONFIGS / name / "config.json").read_text("utf-8"))
        build(config).half().save_pretrained(target / name, safe_serialization=True)
