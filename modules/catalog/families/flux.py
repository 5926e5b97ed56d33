"""FLUX.1: a transformer of double and single blocks, trained by flow matching."""

from __future__ import annotations

from modules.catalog.families.base import UNET, Family, FolderFacts, Verdict, not_yet
from modules.catalog.header import Header

KEY = "flux"
LABEL = "FLUX.1"


def detect_file(header: Header) -> Verdict | None:
    """Double blocks, under the original prefix or none."""
    if header.has_prefix(f"{UNET}double_blocks.0.") or header.has_prefix("double_blocks.0."):
        return Verdict(KEY, problem=not_yet(LABEL))
    return None


def detect_folder(folder: FolderFacts) -> Verdict | None:
    """Any of diffusers' Flux pipelines."""
    if folder.pipeline.startswith("Flux"):
        return Verdict(KEY, problem=not_yet(LABEL))
    return None


FAMILY = Family(KEY, LABEL, detect_file, detect_folder)
