"""Stable Diffusion XL: two text encoders and a size-conditioned UNet; base, refiner, pruned."""

from __future__ import annotations

from modules.catalog.families.base import UNET, Family, FolderFacts, Verdict, not_yet
from modules.catalog.header import Header

KEY = "sdxl"
LABEL = "SDXL"


def detect_file(header: Header) -> Verdict | None:
    """The UNet embeds a label (the sizes), or SDXL's list of conditioners is there."""
    if f"{UNET}label_emb.0.0.weight" not in header and not header.has_prefix(
        "conditioner.embedders."
    ):
        return None
    # The refiner has the bigger text model alone, at place 0.
    refiner = header.has_prefix("conditioner.embedders.0.model.")
    return Verdict(KEY, "refiner" if refiner else "", not_yet(LABEL))


def detect_folder(folder: FolderFacts) -> Verdict | None:
    """Any of diffusers' StableDiffusionXL pipelines."""
    if not folder.pipeline.startswith("StableDiffusionXL"):
        return None
    refiner = "text_encoder" not in folder.classes
    return Verdict(KEY, "refiner" if refiner else "", not_yet(LABEL))


FAMILY = Family(KEY, LABEL, detect_file, detect_folder)
