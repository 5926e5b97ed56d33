"""A model as a diffusers folder: each network in its own, with the configuration that it needs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.catalog.errors import UnsupportedModelError
from modules.catalog.folders import read_json
from modules.engine.checkpoints.components import ComponentPlan, build_empty, fill, materialise
from modules.engine.checkpoints.families import LOADERS, ModelPlan
from modules.engine.converting.to_file import CONVERTED, FORMATS
from modules.engine.merging.merge import Term
from modules.engine.merging.pieces import Piece
from modules.settings.atomic import write_json

SHIPPED = {"sd1": "sd15", "sd2": "sd2", "sdxl": "sdxl"}
"""Folders of `configs` by family."""
VERSION = "0.42.1"
"""Of diffusers, whose configurations these are."""
_CLASSES = {
    "unet": ("diffusers", "UNet2DConditionModel"),
    "vae": ("diffusers", "AutoencoderKL"),
    "clip_text": ("transformers", "CLIPTextModel"),
    "clip_text_projection": ("transformers", "CLIPTextModelWithProjection"),
}
_PIPELINES: Mapping[str, Mapping[int, str]] = {
    "sd1": {
        4: "StableDiffusionPipeline",
        9: "StableDiffusionInpaintPipeline",
        8: "StableDiffusionInstructPix2PixPipeline",
    },
    "sd2": {
        4: "StableDiffusionPipeline",
        9: "StableDiffusionInpaintPipeline",
        5: "StableDiffusionDepth2ImgPipeline",
    },
    "sdxl": {4: "StableDiffusionXLPipeline", 9: "StableDiffusionXLInpaintPipeline"},
}
REFINER = "StableDiffusionXLImg2ImgPipeline"
_PADDED_BY_ZERO = {"sd2": ("text_encoder",), "sdxl": ("text_encoder_2",)}
"""OpenCLIP fills texts up with "!", which is id 0."""
WHOLE = "text_model."


@dataclass(frozen=True)
class FolderFile:
    """One file of weights of the folder."""

    path: str
    """Below the folder."""
    terms: tuple[Term, ...]


def check_possible(plan: ModelPlan) -> None:
    """Refuse families and variants that diffusers has no folder for here.

    Raises:
        UnsupportedModelError: it cannot be written so.
    """
    if plan.family not in SHIPPED or _pipeline(plan) is None:
        reason = f"is of a kind ({plan.family}) that cannot be written as a diffusers folder yet"
        raise UnsupportedModelError(plan.path, reason)


def decided(plan: ModelPlan) -> ModelPlan:
    """The plan with what the network predicts; where no file says it, the network is tried."""
    if not plan.undecided:
        return plan
    import torch

    unet = build_empty(plan.components["unet"])
    materialise(unet, torch.float32, torch.device("cpu"))
    fill(unet, plan.components["unet"])
    return LOADERS[plan.family].adapter.settled(plan, {"unet": unet})


def folder_files(plan: ModelPlan, dtype: str) -> list[FolderFile]:
    """The weights, by the names of diffusers and transformers."""
    return [
        FolderFile(f"{name}/{_stem(part)}.safetensors", tuple(_terms(part, dtype)))
        for name, part in plan.components.items()
    ]


def _stem(part: ComponentPlan) -> str:
    return "model" if part.kind.startswith("clip_text") else "diffusion_pytorch_model"


def _terms(part: ComponentPlan, dtype: str) -> list[Term]:
    text = part.kind.startswith("clip_text")
    terms = []
    for name, source in part.sources.items():
        whole = not text or name.startswith((WHOLE, "text_projection."))
        piece = Piece.of(source, shape=_shape(part, name, source.shape))
        format_ = FORMATS.get(dtype, piece.dtype) if piece.dtype in CONVERTED else piece.dtype
        terms.append(Term(name if whole else WHOLE + name, piece, format_))
    return sorted(terms, key=lambda term: term.name)


def _shape(part: ComponentPlan, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A VAE's attention has matrices in diffusers, and 1x1 convolutions in the original code."""
    attention = part.kind == "vae" and ".attentions." in name and name.endswith(".weight")
    return shape[:2] if attention and len(shape) == 4 else shape


def write_descriptions(plan: ModelPlan, folder: Path, configs: Path) -> None:
    """Everything of a folder but its weights."""
    for name, part in plan.components.items():
        write_json(folder / name / "config.json", _config(part))
    scheduler = {
        "_class_name": _scheduler_class(plan, configs),
        "_diffusers_version": VERSION,
        **plan.scheduler,
    }
    (folder / "scheduler").mkdir(parents=True, exist_ok=True)
    write_json(folder / "scheduler" / "scheduler_config.json", scheduler)
    for name, tokenizer in plan.tokenizers.items():
        zero = name in _PADDED_BY_ZERO.get(plan.family, ())
        _copy_tokenizer(tokenizer, folder / name.replace("text_encoder", "tokenizer"), zero=zero)
    write_json(folder / "model_index.json", _index(plan, configs))


def _config(part: ComponentPlan) -> dict[str, Any]:
    config = dict(part.config)
    if part.kind.startswith("clip_text"):
        return {
            **config,
            "architectures": [_CLASSES[part.kind][1]],
            "model_type": "clip_text_model",
        }
    return {"_class_name": _CLASSES[part.kind][1], "_diffusers_version": VERSION, **config}


def _scheduler_class(plan: ModelPlan, configs: Path) -> str:
    """The usual one of the family; one that knows zero terminal SNR where that is needed."""
    if plan.scheduler.get("rescale_betas_zero_snr"):
        return "DDIMScheduler"
    folder = configs / SHIPPED[plan.family]
    shipped = read_json(folder / "scheduler" / "scheduler_config.json", folder)
    return str(shipped["_class_name"])


def _pipeline(plan: ModelPlan) -> str | None:
    channels = plan.components["unet"].config.get("in_channels", 4)
    if plan.family == "sdxl" and "text_encoder" not in plan.components:
        return REFINER
    return _PIPELINES[plan.family].get(channels)


def _index(plan: ModelPlan, configs: Path) -> dict[str, Any]:
    index: dict[str, Any] = {"_class_name": _pipeline(plan), "_diffusers_version": VERSION}
    for name, part in plan.components.items():
        index[name] = list(_CLASSES[part.kind])
    for name in plan.tokenizers:
        index[name.replace("text_encoder", "tokenizer")] = ["transformers", "CLIPTokenizer"]
    index["scheduler"] = ["diffusers", _scheduler_class(plan, configs)]
    if plan.family == "sdxl":
        index["force_zeros_for_empty_prompt"] = "text_encoder" in plan.components
        if "text_encoder" not in plan.components:
            index |= {"text_encoder": [None, None], "tokenizer": [None, None]}
            index["requires_aesthetics_score"] = True
    else:
        index |= {"safety_checker": [None, None], "feature_extractor": [None, None]}
        index["requires_safety_checker"] = False
    return index


def _copy_tokenizer(source: Path, target: Path, *, zero: bool) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir()):
        if not file.is_file() or file.suffix not in (".json", ".txt", ".model", ".md"):
            continue
        padded = file.name in ("tokenizer_config.json", "special_tokens_map.json")
        if zero and padded:
            content = {**read_json(file, source), "pad_token": "!"}
            (target / file.name).write_text(json.dumps(content, indent=2), encoding="utf-8")
        else:
            shutil.copyfile(file, target / file.name)
