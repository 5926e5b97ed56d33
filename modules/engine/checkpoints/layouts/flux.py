"""The transformer of FLUX.1 in its makers' layout or diffusers': names and what shapes tell.

Double blocks keep picture and text apart and attend together; single blocks treat both as one, with
query, key, value and the feed-forward part's entrance in one matrix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from modules.engine.checkpoints.components import Source
from modules.engine.checkpoints.layouts.mmdit import swapped
from modules.engine.checkpoints.layouts.names import Names
from modules.engine.checkpoints.layouts.original_unet import LayoutError

TOP: Mapping[str, str] = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "final_layer.linear": "proj_out",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
}
DOUBLE: Mapping[str, str] = {
    "img_mod.lin": "norm1.linear",
    "txt_mod.lin": "norm1_context.linear",
    "img_attn.norm.query_norm": "attn.norm_q",
    "img_attn.norm.key_norm": "attn.norm_k",
    "txt_attn.norm.query_norm": "attn.norm_added_q",
    "txt_attn.norm.key_norm": "attn.norm_added_k",
    "img_attn.proj": "attn.to_out.0",
    "txt_attn.proj": "attn.to_add_out",
    "img_mlp.0": "ff.net.0.proj",
    "img_mlp.2": "ff.net.2",
    "txt_mlp.0": "ff_context.net.0.proj",
    "txt_mlp.2": "ff_context.net.2",
}
DOUBLE_SPLIT: Mapping[str, tuple[str, str, str]] = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}
SINGLE: Mapping[str, str] = {
    "modulation.lin": "norm.linear",
    "norm.query_norm": "attn.norm_q",
    "norm.key_norm": "attn.norm_k",
    "linear2": "proj_out",
}
SINGLE_SPLIT = ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")
_TOLD_ORIGINAL = {
    "entrance": "img_in.weight",
    "norm": "double_blocks.0.img_attn.norm.query_norm.scale",
    "exit": "final_layer.linear.weight",
    "double": "double_blocks.{}.img_attn.qkv.weight",
    "single": "single_blocks.{}.linear1.weight",
    "context": "txt_in.weight",
    "pooled": "vector_in.in_layer.weight",
    "guidance": "guidance_in.in_layer.weight",
}
_TOLD_DIFFUSERS = {
    "entrance": "x_embedder.weight",
    "norm": "transformer_blocks.0.attn.norm_q.weight",
    "exit": "proj_out.weight",
    "double": "transformer_blocks.{}.attn.to_q.weight",
    "single": "single_transformer_blocks.{}.attn.to_q.weight",
    "context": "context_embedder.weight",
    "pooled": "time_text_embed.text_embedder.linear_1.weight",
    "guidance": "time_text_embed.guidance_embedder.linear_1.weight",
}
"""The tensors whose shapes tell the hyper-parameters."""
_BLOCK = re.compile(r"(double|single)_blocks\.(\d+)\.(.+)\.(weight|bias|scale)")
_ENDING = re.compile(r"(.+)\.(weight|bias)")


def read_flux(names: Names, defaults: Mapping[str, Any]) -> tuple[dict[str, Any], Names]:
    """diffusers' configuration and names of a FLUX.1 transformer in either layout.

    Raises:
        LayoutError: parts are missing or not known.
    """
    try:
        modern = _TOLD_DIFFUSERS["entrance"] in names
        told = _TOLD_DIFFUSERS if modern else _TOLD_ORIGINAL
        width = names.shape(told["entrance"])[0]
        config = {**defaults, **_config(names, width, told)}
        if modern:
            return config, names
        weights = dict(pair for name in names for pair in _modern(name, names[name], width))
    except (KeyError, IndexError) as error:
        raise LayoutError(f"tensor {error} is missing") from error
    except ValueError as error:
        raise LayoutError(str(error)) from error
    return config, Names(weights)


def latent_channels(channels: int) -> int:
    """Channels of the latents whose 2x2 places the transformer is given as one."""
    return channels // 4


def rope_axes(head: int) -> list[int]:
    """How a head's width is shared by the three axes of position: 16, 56, 56 of 128."""
    first = head // 8 // 2 * 2 or 2
    rest = (head - first) // 2
    if rest % 2:
        first, rest = first + 2, rest - 1
    return [first, rest, rest]


def _modern(name: str, source: Source, width: int) -> Iterator[tuple[str, Source]]:
    block = _BLOCK.fullmatch(name)
    if block is None:
        yield _top(name, source)
        return
    kind, number, stem = block[1], block[2], block[3]
    ending = "weight" if block[4] == "scale" else block[4]
    if kind == "double":
        start = f"transformer_blocks.{number}"
        if stem in DOUBLE_SPLIT:
            for place, part in enumerate(DOUBLE_SPLIT[stem]):
                yield f"{start}.{part}.{ending}", source.part(place, 3)
            return
    else:
        start = f"single_transformer_blocks.{number}"
        if stem == "linear1":
            borders = [0, width, 2 * width, 3 * width, source.shape[0]]
            for place, part in enumerate(SINGLE_SPLIT):
                rows = borders[place], borders[place + 1]
                yield f"{start}.{part}.{ending}", replace(source, rows=(rows,))
            return
    modern = (DOUBLE if kind == "double" else SINGLE).get(stem)
    if modern is None:
        raise ValueError(f"tensor {name!r} is not known")
    yield f"{start}.{modern}.{ending}", source


def _top(name: str, source: Source) -> tuple[str, Source]:
    parts = _ENDING.fullmatch(name)
    modern = TOP.get(parts[1]) if parts else None
    if parts is None or modern is None:
        raise ValueError(f"tensor {name!r} is not known")
    return f"{modern}.{parts[2]}", swapped(source) if modern == "norm_out.linear" else source


def _config(names: Names, width: int, told: Mapping[str, str]) -> dict[str, Any]:
    head = names.shape(told["norm"])[0]
    channels = names.shape(told["entrance"])[1]
    return {
        "patch_size": 1,
        "in_channels": channels,
        "out_channels": names.shape(told["exit"])[0],
        "latent_channels": latent_channels(channels),
        "num_layers": names.count(told["double"]),
        "num_single_layers": names.count(told["single"]),
        "attention_head_dim": head,
        "num_attention_heads": max(1, width // head),
        "joint_attention_dim": names.shape(told["context"])[1],
        "pooled_projection_dim": names.shape(told["pooled"])[1],
        "guidance_embeds": told["guidance"] in names,
        "axes_dims_rope": rope_axes(head),
    }
