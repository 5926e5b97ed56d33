"""Stable Diffusion 2.x: the same UNet with OpenCLIP's ViT-H text model."""

from __future__ import annotations

from modules.catalog.families.base import (
    LABEL_EMBEDDING,
    Family,
    FolderFacts,
    Verdict,
    context_width,
    has_original_unet,
    input_channels,
)
from modules.catalog.header import Header

KEY = "sd2"
LABEL = "Stable Diffusion 2.x"
CONTEXT_WIDTH = 1024
INPAINTING, DEPTH, UNCLIP = "inpainting", "depth", "unCLIP"
_VARIANTS = {9: INPAINTING, 5: DEPTH}


def detect_file(header: Header) -> Verdict | None:
    """OpenCLIP's names, or a UNet alone whose context is 1024 wide."""
    if not has_original_unet(header):
        return None
    open_clip = header.has_prefix("cond_stage_model.model.")
    own_text_model = header.has_prefix("cond_stage_model.transformer.")
    if open_clip or (not own_text_model and context_width(header) == CONTEXT_WIDTH):
        return _verdict(input_channels(header), any(name in header for name in LABEL_EMBEDDING))
    return None


def detect_folder(folder: FolderFacts) -> Verdict | None:
    """A Stable Diffusion pipeline whose text model uses plain GELU, as OpenCLIP's do."""
    text = folder.configs.get("text_encoder", {})
    unet = folder.configs.get("unet", {})
    if folder.classes.get("unet") != "UNet2DConditionModel" or "text_encoder_2" in folder.classes:
        return None
    if folder.classes.get("text_encoder") != "CLIPTextModel" or text.get("hidden_act") != "gelu":
        return None
    channels = unet.get("in_channels")
    told = unet.get("class_embed_type") is not None
    return _verdict(channels if isinstance(channels, int) else None, told)


def _verdict(channels: int | None, told: bool) -> Verdict:
    if told:
        return Verdict(KEY, UNCLIP)
    if channels is None or channels == 4:
        return Verdict(KEY)
    if channels in _VARIANTS:
        return Verdict(KEY, _VARIANTS[channels])
    variant = f"{channels}-channel"
    return Verdict(KEY, variant, f"is a {LABEL} {variant} model, which is not known")


FAMILY = Family(
    KEY, LABEL, detect_file, detect_folder, defaults={UNCLIP: {"width": 768, "height": 768}}
)
