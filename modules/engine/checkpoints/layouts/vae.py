"""VAEs in the original and in diffusers' layout: names, and what shapes tell about the build."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from modules.engine.checkpoints.layouts.names import Names
from modules.engine.checkpoints.layouts.original_unet import LayoutError

_ENDS = {"norm_out": "conv_norm_out"}
_ATTENTION = {
    "norm": "group_norm",
    "q": "to_q",
    "k": "to_k",
    "v": "to_v",
    "proj_out": "to_out.0",
    # diffusers' own names until version 0.15, still in many published folders.
    "query": "to_q",
    "key": "to_k",
    "value": "to_v",
    "proj_attn": "to_out.0",
}
_LEVEL = re.compile(r"(encoder\.down|decoder\.up)\.(\d+)\.(block|downsample|upsample)\.(.+)")
_MIDDLE = re.compile(r"(encoder|decoder)\.mid\.(block_1|block_2|attn_1)\.(.+)")
_OLD_ATTENTION = re.compile(r"(.*\.mid_block\.attentions\.0)\.(query|key|value|proj_attn)\.(\w+)")
_IGNORED = ("loss.", "model_ema.", "encoder_ema.", "decoder_ema.")


def read_vae(names: Names, defaults: Mapping[str, Any]) -> tuple[dict[str, Any], Names]:
    """diffusers' configuration and names of a VAE in either layout.

    `defaults` hold what shapes cannot tell (group count, scaling factor).

    Raises:
        LayoutError: parts are missing or not known.
    """
    weights = modern_names(names)
    try:
        return _config(weights, defaults), weights
    except (KeyError, IndexError) as error:
        raise LayoutError(f"tensor {error} is missing") from error


def modern_names(names: Names) -> Names:
    """The tensors of a VAE under the names that diffusers uses today, from any older ones."""
    levels = names.count("decoder.up.{}.block.0.norm1.weight")
    table = {name: _modern(name, levels) for name in names if not name.startswith(_IGNORED)}
    return names.renamed(table)


def _modern(name: str, levels: int) -> str:
    old = _OLD_ATTENTION.fullmatch(name)
    if old:
        return f"{old[1]}.{_ATTENTION[old[2]]}.{old[3]}"
    level = _LEVEL.fullmatch(name)
    if level:
        return _level_name(level, levels)
    middle = _MIDDLE.fullmatch(name)
    if middle:
        return _middle_name(middle)
    parts = name.split(".")
    if len(parts) == 3 and parts[1] in _ENDS:
        return f"{parts[0]}.{_ENDS[parts[1]]}.{parts[2]}"
    return name


def _level_name(match: re.Match[str], levels: int) -> str:
    down = match[1] == "encoder.down"
    number = int(match[2]) if down else levels - 1 - int(match[2])
    block = f"{'encoder.down_blocks' if down else 'decoder.up_blocks'}.{number}"
    if match[3] == "block":
        return f"{block}.resnets.{match[4].replace('nin_shortcut', 'conv_shortcut')}"
    return f"{block}.{'downsamplers' if down else 'upsamplers'}.0.{match[4]}"


def _middle_name(match: re.Match[str]) -> str:
    block = f"{match[1]}.mid_block"
    if match[2] != "attn_1":
        return f"{block}.resnets.{int(match[2][-1]) - 1}.{match[3]}"
    part, _, rest = match[3].partition(".")
    if part not in _ATTENTION:
        raise LayoutError(f"tensor {match[0]!r} is not known")
    return f"{block}.attentions.0.{_ATTENTION[part]}.{rest}"


def _config(names: Names, defaults: Mapping[str, Any]) -> dict[str, Any]:
    levels = names.count("encoder.down_blocks.{}.resnets.0.conv1.weight")
    if levels == 0:
        raise LayoutError("the VAE has no encoder")
    channels = [
        names.shape(f"encoder.down_blocks.{level}.resnets.0.conv1.weight")[0]
        for level in range(levels)
    ]
    return {
        **defaults,
        "in_channels": names.shape("encoder.conv_in.weight")[1],
        "out_channels": names.shape("decoder.conv_out.weight")[0],
        "latent_channels": names.shape("decoder.conv_in.weight")[1],
        "block_out_channels": channels,
        "layers_per_block": names.count("encoder.down_blocks.0.resnets.{}.conv1.weight"),
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "use_quant_conv": "quant_conv.weight" in names,
        "use_post_quant_conv": "post_quant_conv.weight" in names,
        "mid_block_add_attention": "decoder.mid_block.attentions.0.to_q.weight" in names,
    }
