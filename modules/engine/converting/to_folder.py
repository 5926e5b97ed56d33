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
from modules.engine.converting.transformer_pieces import t5_name
from modules.engine.merging.merge import Term
from modules.engine.merging.pieces import Piece
from modules.settings.atomic import write_json

SHIPPED = {"sd1": "sd15", "sd2": "sd2", "sdxl": "sdxl", "sd3": "sd3", "flux": "flux"}
"""Folders of `configs` by family."""
VERSION = "0.42.1"
"""Of diffusers, whose configurations these are."""
_CLASSES = {
    "unet": ("diffusers", "UNet2DConditionModel"),
    "sd3_transformer": ("diffusers", "SD3Transformer2DModel"),
    "flux_transformer": ("diffusers", "FluxTransformer2DModel"),
    "vae": ("diffusers", "AutoencoderKL"),
    "clip_text": ("transformers", "CLIPTextModel"),
    "clip_text_projection": ("transformers", "CLIPTextModelWithProjection"),
    "t5_encoder": ("transformers", "T5EncoderModel"),
}
_MODEL_TYPES = {"t5_encoder": "t5"}
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
    "sd3": {16: "StableDiffusion3Pipeline"},
    "flux": {64: "FluxPipeline"},
}
_ABSENT: Mapping[str, tuple[str, ...]] = {
    "sd1": ("safety_checker", "feature_extractor"),
    "sd2": ("safety_checker", "feature_extractor"),
    "sd3": ("text_encoder_3", "tokenizer_3", "image_encoder", "feature_extractor"),
    "flux": ("image_encoder", "feature_extractor"),
}
"""Components that pipelines name and models do without."""
_OUR_OWN: Mapping[str, tuple[str, ...]] = {
    "flux_transformer": ("latent_channels", "sample_size"),
    "scheduler": ("even",),
}
"""Values of configurations that diffusers' classes do not know, by component."""
REFINER = "StableDiffusionXLImg2ImgPipeline"
_PADDED_BY_ZERO = {
    "sd2": ("text_encoder",),
    "sdxl": ("text_encoder_2",),
    "sd3": ("text_encoder_2",),
}
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
        FolderFile(f"{_place(name, part)}/{_stem(part)}.safetensors", tuple(_terms(part, dtype)))
        for name, part in plan.components.items()
    ]


def _place(name: str, part: ComponentPlan) -> str:
    """Name of a component in diffusers."""
    return "transformer" if part.kind.endswith("_transformer") else name


def _stem(part: ComponentPlan) -> str:
    return "model" if _CLASSES[part.kind][0] == "transformers" else "diffusion_pytorch_model"


def _terms(part: ComponentPlan, dtype: str) -> list[Term]:
    terms = []
    for name, source in part.sources.items():
        piece = Piece.of(source, shape=_shape(part, name, source.shape))
        format_ = FORMATS.get(dtype, piece.dtype) if piece.dtype in CONVERTED else piece.dtype
        terms.append(Term(_name(part, name), piece, format_))
    return sorted(terms, key=lambda term: term.name)


def _name(part: ComponentPlan, name: str) -> str:
    """A weight's name in the folder: transformers' models there have a wrapper around them."""
    if part.kind == "t5_encoder":
        return t5_name(name)
    text = part.kind.startswith("clip_text")
    whole = not text or name.startswith((WHOLE, "text_projection."))
    return name if whole else WHOLE + name


def _shape(part: ComponentPlan, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A VAE's attention has matrices in diffusers, and 1x1 convolutions in the original code."""
    attention = part.kind == "vae" and ".attentions." in name and name.endswith(".weight")
    return shape[:2] if attention and len(shape) == 4 else shape


def write_descriptions(plan: ModelPlan, folder: Path, configs: Path) -> None:
    """Everything of a folder but its weights."""
    for name, part in plan.components.items():
        write_json(folder / _place(name, part) / "config.json", _config(part))
    scheduler = {
        "_class_name": _scheduler_class(plan, configs),
        "_diffusers_version": VERSION,
        **_known("scheduler", plan.scheduler),
    }
    if scheduler.get("prediction_type") == "flow":
        del scheduler["prediction_type"]  # the class says it
    (folder / "scheduler").mkdir(parents=True, exist_ok=True)
    write_json(folder / "scheduler" / "scheduler_config.json", scheduler)
    for name, tokenizer in plan.tokenizers.items():
        zero = name in _PADDED_BY_ZERO.get(plan.family, ())
        target = folder / name.replace("text_encoder", "tokenizer")
        _copy_tokenizer(tokenizer, target, zero=zero)
        if _is_t5(plan, name) and not (target / "tokenizer_config.json").exists():
            write_json(target / "tokenizer_config.json", _T5_TOKENIZER)
    write_json(folder / "model_index.json", _index(plan, configs))


_T5_TOKENIZER = {
    "tokenizer_class": "T5Tokenizer",
    "model_max_length": 512,
    "extra_ids": 100,
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
}


def _is_t5(plan: ModelPlan, name: str) -> bool:
    return plan.components[name].kind == "t5_encoder"


def _config(part: ComponentPlan) -> dict[str, Any]:
    library, class_name = _CLASSES[part.kind]
    if library == "transformers":
        model_type = _MODEL_TYPES.get(part.kind, "clip_text_model")
        return {**part.config, "architectures": [class_name], "model_type": model_type}
    config = _known(part.kind, part.config)
    return {"_class_name": class_name, "_diffusers_version": VERSION, **config}


def _known(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in _OUR_OWN.get(kind, ())}


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
    index |= {name: [None, None] for name in _ABSENT.get(plan.family, ())}
    for name, part in plan.components.items():
        index[_place(name, part)] = list(_CLASSES[part.kind])
    for name in plan.tokenizers:
        tokenizer = "T5TokenizerFast" if _is_t5(plan, name) else "CLIPTokenizer"
        index[name.replace("text_encoder", "tokenizer")] = ["transformers", tokenizer]
    index["scheduler"] = ["diffusers", _scheduler_class(plan, configs)]
    if plan.family == "sdxl":
        index["force_zeros_for_empty_prompt"] = "text_encoder" in plan.components
        if "text_encoder" not in plan.components:
            index |= {"text_encoder": [None, None], "tokenizer": [None, None]}
            index["requires_aesthetics_score"] = True
    elif "safety_checker" in index:
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
