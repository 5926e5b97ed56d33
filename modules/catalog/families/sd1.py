"""Stable Diffusion 1.x and everything built like it, of any size."""

from __future__ import annotations

from modules.catalog.families.base import (
    Family,
    FolderFacts,
    Verdict,
    has_original_unet,
    input_channels,
)
from modules.catalog.header import Header

KEY = "sd1"
LABEL = "Stable Diffusion 1.x"
_VARIANTS = {9: "inpainting", 8: "InstructPix2Pix"}


def detect_file(header: Header) -> Verdict | None:
    """The original UNet with CLIP's text model; asked after SD 2 and SDXL, which share names."""
    if not has_original_unet(header):
        return None
    return _verdict(input_channels(header))


def detect_folder(folder: FolderFacts) -> Verdict | None:
    """A Stable Diffusion pipeline whose text encoder is a plain CLIP text model."""
    if folder.classes.get("unet") != "UNet2DConditionModel":
        return None
    if folder.classes.get("text_encoder") not in (None, "CLIPTextModel"):
        return None
    if not folder.pipeline.startswith(("StableDiffusion", "LatentConsistencyModel")):
        return None
    channels = folder.configs.get("unet", {}).get("in_channels")
    return _verdict(channels if isinstance(channels, int) else None)


def _verdict(channels: int | None) -> Verdict:
    if channels is None or channels == 4:
        return Verdict(KEY)
    if channels in _VARIANTS:
        return Verdict(KEY, _VARIANTS[channels])
    variant = f"{channels}-channel"
    return Verdict(
        KEY,
        variant,
        f"is a {LABEL} {variant} model, which is not known",
    )


FAMILY = Family(KEY, LABEL, detect_file, detect_folder)
