"""The UNet of the original (LDM) Stable Diffusion code: its names and what its shapes tell.

The file counts blocks straight through: `input_blocks.N`, `middle_block.N`, `output_blocks.N`.
Entry 0 of a block is a residual block, entry 1 a transformer if the level attends; a block that
only halves the resolution has `0.op`, and the last block of a level going up ends in a `conv`.
Pruned models (SSD-1B, Vega, KOALA) have transformers of other depths going up than going down,
and a middle of one residual block, or none. `label_emb` embeds what SDXL and unCLIP are told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modules.engine.checkpoints.layouts.names import Names

RESIDUAL: Mapping[str, str] = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
ENDS: Mapping[str, str] = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "time_embed.cond_proj": "time_embedding.cond_proj",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
LABEL = "label_emb.0.{}"
TEXT_TIME, CLASS = "add_embedding", "class_embedding"
"""What diffusers calls the embedding of a label: SDXL's of summary and sizes, unCLIP's of a
picture."""
HEAD_WIDTH = 64
"""Of the families after SD 1.x, which has eight heads of any width instead."""
_BLOCK = re.compile(r"(input_blocks|output_blocks)\.(\d+)\.")


class LayoutError(ValueError):
    """The tensors do not form a network of this layout; says what is odd."""


@dataclass
class _Level:
    """One resolution: its channels, the depth of its transformers (0: none), block by block."""

    channels: int = 0
    depths: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class OriginalUNet:
    """A UNet read from original names: diffusers' configuration and weight names."""

    config: dict[str, Any]
    names: Names
    """By diffusers' names."""


def read_original_unet(
    names: Names, defaults: Mapping[str, Any], *, label: str = TEXT_TIME, wide_heads: bool = False
) -> OriginalUNet:
    """Work out a UNet from its tensors; `defaults` hold what shapes cannot tell.

    Args:
        label: what `label_emb` is, if there is one: `TEXT_TIME` or `CLASS`.
        wide_heads: all heads are `HEAD_WIDTH` wide, and there are as many as fit.

    Raises:
        LayoutError: blocks are missing or do not fit each other.
    """
    try:
        read = _read(names, defaults, label)
    except (KeyError, IndexError) as error:
        raise LayoutError(f"tensor {error} is missing") from error
    if wide_heads:
        channels = read.config["block_out_channels"]
        read.config["attention_head_dim"] = [max(1, count // HEAD_WIDTH) for count in channels]
    return read


def _read(names: Names, defaults: Mapping[str, Any], label: str) -> OriginalUNet:
    prefixes = {
        **ENDS,
        LABEL.format(0): f"{label}.linear_1",
        LABEL.format(2): f"{label}.linear_2",
    }
    down = _down_levels(names, prefixes)
    up = _up_levels(names, prefixes, len(down))
    middle = _middle(names, prefixes)
    table = _rename(names, prefixes)
    return OriginalUNet(_config(names, down, up, middle, defaults), names.renamed(table))


def _down_levels(names: Names, prefixes: dict[str, str]) -> list[_Level]:
    levels = [_Level()]
    for number in range(1, _block_count(names, "input_blocks")):
        block = f"input_blocks.{number}"
        place = len(levels) - 1
        if f"{block}.0.op.weight" in names:
            prefixes[f"{block}.0.op"] = f"down_blocks.{place}.downsamplers.0.conv"
            levels.append(_Level())
            continue
        index = len(levels[-1].depths)
        _residual(names, prefixes, block, f"down_blocks.{place}", index, levels[-1])
    return levels


def _up_levels(names: Names, prefixes: dict[str, str], count: int) -> list[_Level]:
    levels = [_Level()]
    for number in range(_block_count(names, "output_blocks")):
        block = f"output_blocks.{number}"
        place = len(levels) - 1
        index = len(levels[-1].depths)
        _residual(names, prefixes, block, f"up_blocks.{place}", index, levels[-1])
        for entry in (1, 2):
            if f"{block}.{entry}.conv.weight" in names:
                prefixes[f"{block}.{entry}.conv"] = f"up_blocks.{place}.upsamplers.0.conv"
                levels.append(_Level())
    if len(levels) != count:
        raise LayoutError(f"the UNet has {count} levels down and {len(levels)} up")
    return levels


def _residual(
    names: Names, prefixes: dict[str, str], block: str, to: str, index: int, level: _Level
) -> None:
    channels = names.shape(f"{block}.0.out_layers.3.weight")[0]
    if level.channels not in (0, channels):
        raise LayoutError(f"{block} has {channels} channels, its level {level.channels}")
    level.channels = channels
    prefixes[f"{block}.0"] = f"{to}.resnets.{index}"
    depth = names.count(f"{block}.1.transformer_blocks.{{}}.norm1.weight")
    if depth:
        prefixes[f"{block}.1"] = f"{to}.attentions.{index}"
    level.depths.append(depth)


def _middle(names: Names, prefixes: dict[str, str]) -> int | None:
    """Depth of the middle transformer; 0 for a residual block alone, None without a middle."""
    if "middle_block.0.in_layers.0.weight" not in names:
        return None
    prefixes["middle_block.0"] = "mid_block.resnets.0"
    depth = names.count("middle_block.1.transformer_blocks.{}.norm1.weight")
    if depth:
        prefixes["middle_block.1"] = "mid_block.attentions.0"
        prefixes["middle_block.2"] = "mid_block.resnets.1"
    return depth


def _rename(names: Names, prefixes: Mapping[str, str]) -> dict[str, str]:
    table: dict[str, str] = {}
    for name in names:
        parts = name.split(".")
        for length in (4, 3, 2):
            old = ".".join(parts[:length])
            if old in prefixes and length < len(parts):
                table[name] = f"{prefixes[old]}.{_inner(prefixes[old], parts[length:])}"
                break
        else:
            raise LayoutError(f"tensor {name!r} is not known")
    return table


def _inner(to: str, rest: list[str]) -> str:
    inner = ".".join(rest)
    if ".resnets." not in to:
        return inner
    for old, new in RESIDUAL.items():
        if inner.startswith(old + "."):
            return new + inner[len(old) :]
    raise LayoutError(f"{inner!r} is not part of a residual block")


def _config(
    names: Names,
    down: list[_Level],
    up: list[_Level],
    middle: int | None,
    defaults: Mapping[str, Any],
) -> dict[str, Any]:
    channels = [level.channels for level in down]
    layers = [len(level.depths) for level in down]
    if [len(level.depths) - 1 for level in reversed(up)] != layers:
        raise LayoutError("the levels going up do not have one block more than those going down")
    if [level.channels for level in reversed(up)] != channels:
        raise LayoutError("the levels going up do not mirror those going down")
    down_depths = [_depth(level) for level in down]
    up_depths = [_depth(level) for level in up]
    config = {
        **defaults,
        "in_channels": names.shape("input_blocks.0.0.weight")[1],
        "out_channels": names.shape("out.2.weight")[0],
        "block_out_channels": channels,
        "layers_per_block": _same_or_list(layers),
        "down_block_types": [
            "CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in down_depths
        ],
        "up_block_types": ["CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in up_depths],
        "mid_block_type": _middle_type(middle),
        "transformer_layers_per_block": _same_or_list(_with_middle(down_depths, middle)),
        "use_linear_projection": _linear_projection(names),
    }
    mirrored = [depth or 1 for depth in up_depths] == [depth or 1 for depth in down_depths[::-1]]
    if not mirrored:
        config["reverse_transformer_layers_per_block"] = [depth or 1 for depth in up_depths]
    width = _context_width(names)
    if width is not None:
        config["cross_attention_dim"] = width
    time_width = names.shape("time_embed.0.weight")[0]
    if time_width != 4 * channels[0]:
        config["time_embedding_dim"] = time_width
    if "time_embed.cond_proj.weight" in names:
        config["time_cond_proj_dim"] = names.shape("time_embed.cond_proj.weight")[1]
    if LABEL.format(0) + ".weight" in names:
        told = names.shape(LABEL.format(0) + ".weight")[1]
        config["projection_class_embeddings_input_dim"] = told
    return config


def _depth(level: _Level) -> int | list[int]:
    """Depth of a level's transformers: one number, or one per block where they differ."""
    if 0 in level.depths and any(level.depths):
        raise LayoutError("only some blocks of a level attend")
    return _same_or_list(level.depths)


def _middle_type(depth: int | None) -> str | None:
    if depth is None:
        return None
    return "UNetMidBlock2DCrossAttn" if depth else "UNetMidBlock2D"


def _with_middle(depths: list[int | list[int]], middle: int | None) -> list[int | list[int]]:
    """The depths as diffusers takes them: the middle's is that of the last level."""
    told = [depth or 1 for depth in depths]
    if not middle:
        return told
    if not depths[-1]:
        return [*told[:-1], middle]
    last = depths[-1][0] if isinstance(depths[-1], list) else depths[-1]
    if last != middle:
        raise LayoutError(f"the middle is {middle} transformers deep, the level above it {last}")
    return told


def _linear_projection(names: Names) -> bool:
    return any(len(names.shape(n)) == 2 for n in names if n.endswith(".proj_in.weight"))


def _context_width(names: Names) -> int | None:
    for name in names:
        if name.endswith(".attn2.to_k.weight"):
            return names.shape(name)[1]
    return None


def _block_count(names: Names, kind: str) -> int:
    numbers = {int(m[2]) for name in names if (m := _BLOCK.match(name)) and m[1] == kind}
    if not numbers or numbers != set(range(len(numbers))):
        raise LayoutError(f"the {kind} are not complete")
    return len(numbers)


def _same_or_list(values: list[Any]) -> Any:
    return values[0] if all(value == values[0] for value in values) else values
