"""The model families: which files belong to which, told from tensor names and shapes alone.

One module per family. `FAMILIES` is asked in order; the first that recognises a file owns it.
A new family is one module here, one entry below, and one loader of the same key in
`modules/engine/checkpoints/families`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules.catalog.families import flux, sd1, sd2, sd3, sdxl
from modules.catalog.families.base import Family, FolderFacts, Verdict
from modules.catalog.header import Header

FAMILIES: tuple[Family, ...] = (
    flux.FAMILY,
    sd3.FAMILY,
    sdxl.FAMILY,
    sd2.FAMILY,
    sd1.FAMILY,
)
BY_KEY: Mapping[str, Family] = {family.key: family for family in FAMILIES}


def detect_family(source: Header | FolderFacts) -> Verdict | None:
    """Tell the family of a checkpoint; None when no family knows it.

    `source` is the header of a single file or what `read_folder` found in a diffusers folder.
    """
    for family in FAMILIES:
        verdict = (
            family.detect_file(source)
            if isinstance(source, Header)
            else family.detect_folder(source)
        )
        if verdict is not None:
            return verdict
    return None


def family_defaults(family: str | None, variant: str) -> dict[str, Any]:
    """Request fields that suit a family's models; empty where A1111's own defaults do."""
    known = BY_KEY.get(family or "")
    return dict(known.defaults.get(variant, {})) if known else {}


def t5_tokens(family: str | None, variant: str) -> int | None:
    """Length of T5's chunks with their end token; None for families without T5."""
    if family == flux.KEY:
        return flux.T5_TOKENS.get(variant)
    return sd3.T5_TOKENS if family == sd3.KEY else None


__all__ = [
    "BY_KEY",
    "FAMILIES",
    "Family",
    "FolderFacts",
    "Verdict",
    "detect_family",
    "family_defaults",
    "t5_tokens",
]
