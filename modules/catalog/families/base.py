"""What a family has to tell the catalog, and the questions that all of them ask of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modules.catalog.header import Header

UNET = "model.diffusion_model."
FIRST_CONVOLUTION = UNET + "input_blocks.0.0.weight"
LABEL_EMBEDDING = (
    UNET + "label_emb.0.0.weight",
    "model_ema.diffusion_modellabel_emb00weight",
)
"""What SDXL and unCLIP are told beside the text goes through this layer; alone, or EMA-only."""


@dataclass(frozen=True)
class FolderFacts:
    """What a diffusers folder says about itself, read and checked but not judged."""

    path: Path
    pipeline: str
    """`_class_name` of model_index.json."""
    classes: Mapping[str, str]
    """Component name to class name, as model_index.json lists them."""
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Component name to its config."""
    weights: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    """Component name to its `.safetensors` files."""


@dataclass(frozen=True)
class Verdict:
    """What a family said about a file."""

    family: str
    """Key of the family."""
    variant: str = ""
    """A kind within the family, such as "inpainting"; empty for the plain one."""
    problem: str = ""
    """Why it cannot be used yet; empty when it can."""


@dataclass(frozen=True)
class Family:
    """One model family as the catalog sees it."""

    key: str
    label: str
    """Name for people."""
    detect_file: Callable[[Header], Verdict | None]
    detect_folder: Callable[[FolderFacts], Verdict | None]
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Request fields that suit its models, by variant; a model's own sidecar wins."""


def not_yet(label: str) -> str:
    """The sentence for a family that is known but has no loader."""
    return f"is a {label} model; this family is recognised but not supported yet"


def has_original_unet(header: Header) -> bool:
    """Whether the file holds a UNet under the names of the original (LDM) code, EMA-only or not."""
    return FIRST_CONVOLUTION in header or "model_ema.diffusion_modelinput_blocks00weight" in header


def input_channels(header: Header) -> int | None:
    """Channels that the UNet takes: 4 for plain models, 9 inpainting, 8 pix2pix, 5 depth."""
    for name in (FIRST_CONVOLUTION, "model_ema.diffusion_modelinput_blocks00weight"):
        shape = header.shape(name)
        if shape is not None and len(shape) == 4:
            return shape[1]
    return None


def context_width(header: Header) -> int | None:
    """Width of the text states that the UNet attends to."""
    for name, entry in header.tensors.items():
        dotted = name.startswith(UNET) and name.endswith(".attn2.to_k.weight")
        ema = name.startswith("model_ema.diffusion_model") and name.endswith("attn2to_kweight")
        if (dotted or ema) and len(entry.shape) == 2:
            return entry.shape[1]
    return None
