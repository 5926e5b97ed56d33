"""FLUX.1: a transformer of double and single blocks, trained by flow matching."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules.catalog.families.base import UNET, Family, FolderFacts, Verdict
from modules.catalog.header import Header

KEY = "flux"
LABEL = "FLUX.1"
DEV, SCHNELL = "dev", "schnell"
T5_TOKENS = {DEV: 512, SCHNELL: 256}
"""States that T5 gives, as the two were trained."""
_FIRST_BLOCK = "double_blocks.0.img_attn.norm.query_norm.scale"
_RELATIVES: Mapping[str, str] = {
    "double_stream_modulation_img.lin.weight": "FLUX.2",
    "distilled_guidance_layer.norms.0.scale": "Chroma",
}


def detect_file(header: Header) -> Verdict | None:
    """Double blocks, under the original prefix or none; "dev" takes a guidance, "schnell" not."""
    for prefix in (UNET, ""):
        if not header.has_prefix(f"{prefix}double_blocks.0."):
            continue
        for mark, relative in _RELATIVES.items():
            if f"{prefix}{mark}" in header:
                return Verdict(KEY, relative, f"is a {relative} model, which is not supported")
        if f"{prefix}{_FIRST_BLOCK}" not in header:
            return None
        entrance = header.shape(f"{prefix}img_in.weight")
        exit_ = header.shape(f"{prefix}final_layer.linear.weight")
        guided = f"{prefix}guidance_in.in_layer.weight" in header
        more = (entrance and exit_ and entrance[1] - exit_[0]) or 0
        return _verdict(guided=guided, further=more)
    return _detect_diffusers(header)


def _detect_diffusers(header: Header) -> Verdict | None:
    """A transformer alone under diffusers' names."""
    entrance = header.shape("x_embedder.weight")
    exit_ = header.shape("proj_out.weight")
    blocks = ("transformer_blocks.0.attn.norm_added_q", "single_transformer_blocks.0.attn.norm_q")
    if not (entrance and exit_ and all(f"{one}.weight" in header for one in blocks)):
        return None
    guided = "time_text_embed.guidance_embedder.linear_1.weight" in header
    if not guided and "time_text_embed.timestep_embedder.linear_1.weight" not in header:
        return None
    return _verdict(guided=guided, further=entrance[1] - exit_[0])


def detect_folder(folder: FolderFacts) -> Verdict | None:
    """diffusers' FluxPipeline and its relatives."""
    if not folder.pipeline.startswith("Flux") or folder.pipeline.startswith(("Flux2", "Flux3")):
        return None
    config = folder.configs.get("transformer", {})
    entrance, exit_ = config.get("in_channels", 64), config.get("out_channels")
    further = entrance - exit_ if isinstance(entrance, int) and isinstance(exit_, int) else 0
    return _verdict(guided=bool(config.get("guidance_embeds")), further=further)


def _verdict(*, guided: bool, further: int) -> Verdict:
    if further:
        variant = "Fill or Control"
        return Verdict(
            KEY,
            variant,
            f"is a {LABEL} {variant} model, which is shown further pictures; "
            "this variant is recognised but not supported yet",
        )
    return Verdict(KEY, DEV if guided else SCHNELL)


_USUAL = {"width": 1024, "height": 1024, "cfg_scale": 1.0, "sampler_name": "Euler"}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    DEV: {**_USUAL, "scheduler": "Automatic", "steps": 20, "distilled_cfg_scale": 3.5},
    SCHNELL: {**_USUAL, "scheduler": "Automatic", "steps": 4},
}
FAMILY = Family(KEY, LABEL, detect_file, detect_folder, DEFAULTS)
