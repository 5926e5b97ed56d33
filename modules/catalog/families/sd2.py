"""Stable Diffusion 2.x: the same UNet with OpenCLIP's ViT-H text model."""

from __future__ import annotations

from modules.catalog.families.base import (
    Family,
    FolderFacts,
    Verdict,
    context_width,
    has_original_unet,
    not_yet,
)
from modules.catalog.header import Header

KEY = "sd2"
LABEL = "Stable Diffusion 2.x"
CONTEXT_WIDTH = 1024


def detect_file(header: Header) -> Verdict | None:
    """OpenCLIP's names, or a UNet alone whose context is 1024 wide."""
    if not has_original_unet(header):
        return None
    open_clip = header.has_prefix("cond_stage_model.model.")
    own_text_model = header.has_prefix("cond_stage_model.transformer.")
    if open_clip or (not own_text_model and context_width(header) == CONTEXT_WIDTH):
        return Verdict(KEY, problem=not_yet(LABEL))
    return None


def detect_folder(folder: FolderFacts) -> Verdict | None:
    """A Stable Diffusion pipeline whose text model is 1024 wide with plain GELU."""
    text = folder.configs.get("text_encoder", {})
    if folder.classes.get("unet") != "UNet2DConditionModel":
        return None
    if text.get("hidden_size") == CONTEXT_WIDTH and text.get("hidden_act") == "gelu":
        return Verdict(KEY, problem=not_yet(LABEL))
    return None


FAMILY = Family(KEY, LABEL, detect_file, detect_folder)
