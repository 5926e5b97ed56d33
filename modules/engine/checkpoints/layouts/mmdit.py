"""The transformer of Stable Diffusion 3 and 3.5 (MMDiT): its names and what its shapes tell.

Files have the original names or those of diffusers.

Picture and text go through blocks of their own that attend together. The file keeps query, key and
value of a block in one matrix, and shift before scale where diffusers has scale before shift.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from modules.engine.checkpoints.components import Source
from modules.engine.checkpoints.layouts.names import Names
from modules.engine.checkpoints.layouts.original_unet import LayoutError

HEAD_WIDTH = 64
"""Of every published model; told by the norms of queries where there are any."""
FUSED = (".weight", ".bias")
TOP: Mapping[str, str] = {
    "pos_embed": "pos_embed.pos_embed",
    "x_embedder.proj": "pos_embed.proj",
    "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
    "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
    "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
    "context_embedder": "context_embedder",
    "final_layer.linear": "proj_out",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
}
PICTURE: Mapping[str, str] = {
    "attn.ln_q": "attn.norm_q",
    "attn.ln_k": "attn.norm_k",
    "attn.proj": "attn.to_out.0",
    "attn2.ln_q": "attn2.norm_q",
    "attn2.ln_k": "attn2.norm_k",
    "attn2.proj": "attn2.to_out.0",
    "adaLN_modulation.1": "norm1.linear",
    "mlp.fc1": "ff.net.0.proj",
    "mlp.fc2": "ff.net.2",
}
TEXT: Mapping[str, str] = {
    "attn.ln_q": "attn.norm_added_q",
    "attn.ln_k": "attn.norm_added_k",
    "attn.proj": "attn.to_add_out",
    "adaLN_modulation.1": "norm1_context.linear",
    "mlp.fc1": "ff_context.net.0.proj",
    "mlp.fc2": "ff_context.net.2",
}
SPLIT: Mapping[tuple[str, str], tuple[str, str, str]] = {
    ("x_block", "attn.qkv"): ("attn.to_q", "attn.to_k", "attn.to_v"),
    ("x_block", "attn2.qkv"): ("attn2.to_q", "attn2.to_k", "attn2.to_v"),
    ("context_block", "attn.qkv"): ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}
_TOLD_ORIGINAL = {
    "patch": "x_embedder.proj.weight",
    "context": "context_embedder.weight",
    "layer": "joint_blocks.{}.x_block.attn.qkv.weight",
    "norm": "joint_blocks.0.x_block.attn.ln_q.weight",
    "end": "final_layer.linear.weight",
    "pooled": "y_embedder.mlp.0.weight",
    "positions": "pos_embed",
    "dual": "joint_blocks.{}.x_block.attn2.qkv.weight",
}
_TOLD_DIFFUSERS = {
    "patch": "pos_embed.proj.weight",
    "context": "context_embedder.weight",
    "layer": "transformer_blocks.{}.attn.to_q.weight",
    "norm": "transformer_blocks.0.attn.norm_q.weight",
    "end": "proj_out.weight",
    "pooled": "time_text_embed.text_embedder.linear_1.weight",
    "positions": "pos_embed.pos_embed",
    "dual": "transformer_blocks.{}.attn2.to_q.weight",
}
"""The tensors whose shapes tell the hyper-parameters."""
_BLOCK = re.compile(r"joint_blocks\.(\d+)\.(x_block|context_block)\.(.+)")


def read_mmdit(names: Names, defaults: Mapping[str, Any]) -> tuple[dict[str, Any], Names]:
    """diffusers' configuration and names of an MMDiT in either layout.

    Raises:
        LayoutError: parts are missing or not known.
    """
    try:
        modern = _TOLD_DIFFUSERS["patch"] in names
        told = _TOLD_DIFFUSERS if modern else _TOLD_ORIGINAL
        config = {**defaults, **_config(names, told)}
        if modern:
            return config, names
        layers = config["num_layers"]
        weights = dict(pair for name in names for pair in _modern(name, names[name], layers))
    except (KeyError, IndexError) as error:
        raise LayoutError(f"tensor {error} is missing") from error
    except ValueError as error:
        raise LayoutError(str(error)) from error
    return config, Names(weights)


def swapped(source: Source) -> Source:
    """The second half of the rows before the first: shift, scale as scale, shift."""
    first, second = source.part(0, 2), source.part(1, 2)
    return replace(source, rows=(*second.rows, *first.rows))


def _modern(name: str, source: Source, layers: int) -> Iterator[tuple[str, Source]]:
    block = _BLOCK.fullmatch(name)
    if block is None:
        yield _top(name, source)
        return
    number, side, rest = int(block[1]), block[2], block[3]
    stem, ending = _stem(rest)
    start = f"transformer_blocks.{number}"
    if (side, stem) in SPLIT:
        for place, part in enumerate(SPLIT[side, stem]):
            yield f"{start}.{part}{ending}", source.part(place, 3)
        return
    modern = (PICTURE if side == "x_block" else TEXT).get(stem)
    if modern is None:
        raise ValueError(f"tensor {name!r} is not known")
    # The last block's text goes nowhere: its norm has shift and scale alone.
    last_text = modern == "norm1_context.linear" and number == layers - 1
    yield f"{start}.{modern}{ending}", swapped(source) if last_text else source


def _top(name: str, source: Source) -> tuple[str, Source]:
    stem, ending = _stem(name)
    modern = TOP.get(stem)
    if modern is None:
        raise ValueError(f"tensor {name!r} is not known")
    return modern + ending, swapped(source) if modern == "norm_out.linear" else source


def _stem(name: str) -> tuple[str, str]:
    for ending in FUSED:
        if name.endswith(ending):
            return name.removesuffix(ending), ending
    return name, ""


def _config(names: Names, told: Mapping[str, str]) -> dict[str, Any]:
    width, channels, patch = names.shape(told["patch"])[:3]
    inner, text_width = names.shape(told["context"])
    layers = names.count(told["layer"])
    if not layers:
        raise LayoutError("there are no joint blocks")
    norm = told["norm"]
    head = names.shape(norm)[0] if norm in names else HEAD_WIDTH
    return {
        "patch_size": patch,
        "in_channels": channels,
        "out_channels": names.shape(told["end"])[0] // patch**2,
        "num_layers": layers,
        "attention_head_dim": head,
        "num_attention_heads": max(1, width // head),
        "joint_attention_dim": text_width,
        "caption_projection_dim": inner,
        "pooled_projection_dim": names.shape(told["pooled"])[1],
        "pos_embed_max_size": math.isqrt(names.shape(told["positions"])[1]),
        "dual_attention_layers": [
            layer for layer in range(layers) if told["dual"].format(layer) in names
        ],
        "qk_norm": "rms_norm" if norm in names else None,
    }
