"""Stable Diffusion XL: two text encoders and a size-conditioned UNet; base, refiner, pruned."""

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

KEY = "sdxl"
LABEL = "SDXL"
REFINER_CONTEXT_WIDTH, UNCLIP_CONTEXT_WIDTH = 1280, 1024
BASE_TEXT = "conditioner.embedders.1.model."
REFINER_TEXT = "conditioner.embedders.0.model."
INPAINTING, REFINER = "inpainting", "refiner"
_VARIANTS = {9: INPAINTING, 8: "InstructPix2Pix"}
_EDM_MARKS = ("edm_mean", "edm_std", "edm_vpred.sigma_max", "edm_vpred.sigma_min")


def detect_file(header: Header) -> Verdict | None:
    """SDXL's list of conditioners is there, or a UNet alone that embeds sizes."""
    conditioners = header.has_prefix("conditioner.embedders.")
    told = any(name in header for name in LABEL_EMBEDDING)
    if not conditioners:
        if not told or header.has_prefix("cond_stage_model."):
            return None
        if context_width(header) == UNCLIP_CONTEXT_WIDTH:
            return None
    elif not has_original_unet(header):
        return Verdict(KEY, problem="has text encoders of SDXL, but no UNet")
    # The refiner has the bigger text model alone, at place 0.
    refiner = header.has_prefix(REFINER_TEXT) or (
        not conditioners and context_width(header) == REFINER_CONTEXT_WIDTH
    )
    edm = any(mark in header for mark in _EDM_MARKS)
    return _verdict(input_channels(header), refiner, edm)


def detect_folder(folder: FolderFacts) -> Verdict | None:
    """Any of diffusers' StableDiffusionXL pipelines."""
    if not folder.pipeline.startswith("StableDiffusionXL"):
        return None
    channels = folder.configs.get("unet", {}).get("in_channels")
    edm = str(folder.configs.get("scheduler", {}).get("_class_name", "")).startswith("EDM")
    refiner = "text_encoder" not in _there(folder)
    return _verdict(channels if isinstance(channels, int) else None, refiner, edm)


def _there(folder: FolderFacts) -> set[str]:
    """Components that the folder really has: an index may list one as null."""
    return {name for name in folder.classes if folder.weights.get(name) or name in folder.configs}


def _verdict(channels: int | None, refiner: bool, edm: bool) -> Verdict:
    if edm:
        return Verdict(
            KEY, "EDM", "was trained on the noise levels of EDM, which are not supported"
        )
    if channels is None or channels == 4:
        return Verdict(KEY, REFINER if refiner else "")
    if channels in _VARIANTS:
        return Verdict(KEY, _VARIANTS[channels])
    variant = f"{channels}-channel"
    return Verdict(KEY, variant, f"is an {LABEL} {variant} model, which is not known")


_LARGE = {"width": 1024, "height": 1024}
FAMILY = Family(
    KEY,
    LABEL,
    detect_file,
    detect_folder,
    defaults=dict.fromkeys(("", REFINER, INPAINTING), _LARGE),
)
