"""Which model family a small network was made for, from its metadata or its tensors' shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from modules.catalog.header import Header

BY_VERSION: Mapping[str, str] = {
    "SD1": "sd1",
    "SD2": "sd2",
    "SDXL": "sdxl",
    "SD3": "sd3",
    "Flux": "flux",
}
"""What a person wrote as `sd version` → key of the family."""
BY_WIDTH: Mapping[int, str] = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
"""Width of the text states that cross-attention reads."""
BY_WIDTHS: Mapping[tuple[int, ...], str] = {(768,): "sd1", (1024,): "sd2", (768, 1280): "sdxl"}
"""Widths of an embedding's vectors, one for each text encoder, in ascending order."""

_WORDS: tuple[tuple[str, str], ...] = (
    (r"flux", "flux"),
    (r"sd[ _.-]?3|stable-diffusion-(v)?3", "sd3"),
    (r"sd[ _.-]?xl|stable-diffusion-xl|\bxl\b|pony|illustrious|noobai", "sdxl"),
    (r"sd[ _.-]?v?2|stable-diffusion-v?2", "sd2"),
    (r"sd[ _.-]?v?1|stable-diffusion-v?1", "sd1"),
)
_CROSS = re.compile(r"attn2[._](?:processor[._])?to_[kv][._]?(?:lora)?")


def family_of_words(text: str) -> str:
    """The family that a base model's name means: "SD 1.5", "sdxl_base_v1-0"; "" when unknown."""
    lowered = text[:200].lower()
    for pattern, family in _WORDS:
        if re.search(pattern, lowered):
            return family
    return ""


def family_of_adapter(header: Header) -> str:
    """The family that a LoRA or one of its relatives fits; "" when nothing tells."""
    found = _from_metadata(header.metadata)
    return found or _from_names(header) or _from_widths(header)


def _from_metadata(metadata: Mapping[str, str]) -> str:
    for key in ("modelspec.architecture", "ss_base_model_version", "ss_sd_model_name"):
        found = family_of_words(metadata.get(key, ""))
        if found:
            return found
    return "sd2" if metadata.get("ss_v2") == "True" else ""


def _from_names(header: Header) -> str:
    double = single = joint = second_encoder = False
    for name in header:
        double = double or "double_blocks" in name
        single = single or "single_transformer_blocks" in name or "single_blocks" in name
        joint = joint or "joint_blocks" in name or name.startswith("transformer.transformer_blocks")
        second_encoder = second_encoder or name.startswith(("lora_te2_", "text_encoder_2."))
    if double or single:
        return "flux"
    if joint:
        return "sd3"
    return "sdxl" if second_encoder else ""


def _from_widths(header: Header) -> str:
    for name, entry in header.tensors.items():
        down = "down" in name or "lora_A" in name or "hada_w1_b" in name
        if down and len(entry.shape) >= 2 and _CROSS.search(name) and entry.shape[1] in BY_WIDTH:
            return BY_WIDTH[entry.shape[1]]
    return ""
