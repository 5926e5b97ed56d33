"""Stable Diffusion 3 and 3.5: a transformer trained by flow matching."""

from __future__ import annotations

from modules.catalog.families.base import UNET, Family, FolderFacts, Verdict, not_yet
from modules.catalog.header import Header

KEY = "sd3"
LABEL = "Stable Diffusion 3"


def detect_file(header: Header) -> Verdict | None:
    """Joint blocks, under the original prefix or none."""
    if header.has_prefix(f"{UNET}joint_blocks.0.") or header.has_prefix("joint_blocks.0."):
        return Verdict(KEY, problem=not_yet(LABEL))
    return None


def detect_folder(folder: FolderFacts) -> Verdict | None:
    """Any of diffusers' StableDiffusion3 pipelines."""
    if folder.pipeline.startswith("StableDiffusion3"):
        return Verdict(KEY, problem=not_yet(LABEL))
    return None


FAMILY = Family(KEY, LABEL, detect_file, detect_folder)
