"""A UNet's layers under the names of the original (LDM) code, worked out from the network itself.

`layouts.original_unet` goes the other way while a checkpoint is read; here the network may as well
come from a diffusers folder.
"""

from __future__ import annotations

import torch

_RESIDUAL = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "class_embedding.linear_1": "label_emb.0.0",
    "class_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}


def original_unet_names(unet: torch.nn.Module) -> dict[str, str]:
    """Original path to diffusers' path of every layer with a weight; empty for other networks."""
    if not hasattr(unet, "down_blocks") or not hasattr(unet, "up_blocks"):
        return {}
    prefixes = block_prefixes(unet)
    names = {}
    for path, module in unet.named_modules():
        if not isinstance(getattr(module, "weight", None), torch.Tensor):
            continue
        original = _ENDS.get(path) or _within(path, prefixes)
        if original is not None:
            names[original] = path
    return names


def block_prefixes(unet: torch.nn.Module) -> dict[str, str]:
    """Path of every residual block, transformer and resampling layer to its original one."""
    prefixes: dict[str, str] = {}
    number = 0
    for level, block in enumerate(unet.down_blocks):
        attentions = getattr(block, "attentions", None) or ()
        for place in range(len(block.resnets)):
            number += 1
            prefixes[f"down_blocks.{level}.resnets.{place}"] = f"input_blocks.{number}.0"
            if place < len(attentions):
                prefixes[f"down_blocks.{level}.attentions.{place}"] = f"input_blocks.{number}.1"
        if getattr(block, "downsamplers", None):
            number += 1
            prefixes[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{number}.0.op"
    if getattr(unet, "mid_block", None) is not None:
        prefixes["mid_block.resnets.0"] = "middle_block.0"
        prefixes["mid_block.attentions.0"] = "middle_block.1"
        prefixes["mid_block.resnets.1"] = "middle_block.2"
    number = 0
    for level, block in enumerate(unet.up_blocks):
        attentions = getattr(block, "attentions", None) or ()
        for place in range(len(block.resnets)):
            prefixes[f"up_blocks.{level}.resnets.{place}"] = f"output_blocks.{number}.0"
            if place < len(attentions):
                prefixes[f"up_blocks.{level}.attentions.{place}"] = f"output_blocks.{number}.1"
            number += 1
        if getattr(block, "upsamplers", None):
            entry = 2 if attentions else 1
            original = f"output_blocks.{number - 1}.{entry}.conv"
            prefixes[f"up_blocks.{level}.upsamplers.0.conv"] = original
    return prefixes


def _within(path: str, prefixes: dict[str, str]) -> str | None:
    parts = path.split(".")
    for length in range(len(parts), 1, -1):
        original = prefixes.get(".".join(parts[:length]))
        if original is None:
            continue
        rest = parts[length:]
        if ".resnets." in f"{path}." and rest:
            rest = [_RESIDUAL.get(rest[0], rest[0]), *rest[1:]]
        return ".".join((original, *rest))
    return None
