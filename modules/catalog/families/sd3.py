"""Stable Diffusion 3 and 3.5: a transformer trained by flow matching."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules.catalog.families.base import UNET, Family, FolderFacts, Verdict
from modules.catalog.header import Header

KEY = "sd3"
LABEL = "Stable Diffusion 3"
T5_TOKENS = 256
"""States that T5 gives, or zeros in their place when it is left out."""


def detect_file(header: Header) -> Verdict | None:
    """Joint blocks, under the original prefix or none; or diffusers' names."""
    for prefix in (UNET, ""):
        if f"{prefix}joint_blocks.0.x_block.attn.qkv.weight" in header:
            block = f"{prefix}joint_blocks.0.x_block."
            return Verdict(KEY, _variant(header, f"{block}attn2.qkv", f"{block}attn.ln_q"))
    block = "transformer_blocks.0.attn"
    if "pos_embed.pos_embed" in header and f"{block}.add_q_proj.weight" in header:
        return Verdict(KEY, _variant(header, f"{block}2.to_q", f"{block}.norm_q"))
    return None


def detect_folder(folder: FolderFacts) -> Verdict | None:
    """Any of diffusers' StableDiffusion3 pipelines."""
    if not folder.pipeline.startswith("StableDiffusion3"):
        return None
    config = folder.configs.get("transformer", {})
    if config.get("dual_attention_layers"):
        return Verdict(KEY, "3.5 medium")
    if config.get("qk_norm"):
        return Verdict(KEY, "3.5 large")
    return Verdict(KEY)


def _variant(header: Header, second_attention: str, norm: str) -> str:
    if f"{second_attention}.weight" in header:
        return "3.5 medium"
    return "3.5 large" if f"{norm}.weight" in header else ""


_USUAL = {"width": 1024, "height": 1024, "steps": 28, "sampler_name": "Euler"}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "": {**_USUAL, "scheduler": "Automatic", "cfg_scale": 5.0},
    "3.5 medium": {**_USUAL, "scheduler": "Automatic", "cfg_scale": 4.5},
    "3.5 large": {**_USUAL, "scheduler": "Automatic", "cfg_scale": 4.5},
}
FAMILY = Family(KEY, LABEL, detect_file, detect_folder, DEFAULTS)
