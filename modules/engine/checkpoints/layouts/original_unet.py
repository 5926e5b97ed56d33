"""The UNet of the original (LDM) Stable Diffusion code: its names and what its shapes tell.

The file counts blocks straight through: `input_blocks.N`, `middle_block.N`, `output_blocks.N`.
Entry 0 of a block is a residual block, entry 1 a transformer if the level attends; a block that
only halves the resolution has `0.op`, and the last block of a level going up ends in a `conv`.
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
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
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


def read_original_unet(names: Names, defaults: Mapping[str, Any]) -> OriginalUNet:
    """Work out a UNet from its tensors; `defaults` hold what shapes cannot tell.

    Raises:
        LayoutError: blocks are missing or do not fit each other.
    """
    try:
        return _read(names, defaults)
    except (KeyError, IndexError) as error:
        raise LayoutError(f"tensor {error} is missing") from error


def _read(names: Names, defaults: Mapping[str, Any]) -> OriginalUNet:
    prefixes = dict(ENDS)
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
    """Depth of the middle transformer; None without a middle block, as in pruned models."""
    if "middle_block.0.in_layers.0.weight" not in names:
        return None
    prefixes["middle_block.0"] = "mid_block.resnets.0"
    prefixes["middle_block.1"] = "mid_block.attentions.0"
    prefixes["middle_block.2"] = "mid_block.resnets.1"
    depth = names.count("middle_block.1.transformer_blocks.{}.norm1.weight")
    if depth == 0:
        raise LayoutError("the middle block has no transformer")
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
    depths = [_depth(level) for level in down]
    up_depths = [_depth(level) for level in reversed(up)]
    if [len(level.depths) - 1 for level in reversed(up)] != layers:
        raise LayoutError("the levels going up do not have one block more than those going down")
    if up_depths != depths or [level.channels for level in reversed(up)] != channels:
        raise LayoutError("the levels going up do not mirror those going down")
    attends = [depth > 0 for depth in depths]
    config = {
        **defaults,
        "in_channels": names.shape("input_blocks.0.0.weight")[1],
        "out_channels": names.shape("out.2.weight")[0],
        "block_out_channels": channels,
        "layers_per_block": _same_or_list(layers),
        "down_block_types": ["CrossAttnDownBlock2D" if on else "DownBlock2D" for on in attends],
        "up_block_types": ["CrossAttnUpBlock2D" if on else "UpBlock2D" for on in reversed(attends)],
        "mid_block_type": None if middle is None else "UNetMidBlock2DCrossAttn",
        "transformer_layers_per_block": _same_or_list([depth or middle or 1 for depth in depths]),
        "use_linear_projection": _linear_projection(names),
    }
    width = _context_width(names)
    if width is not None:
        config["cross_attention_dim"] = width
    time_width = names.shape("time_embed.0.weight")[0]
    if time_width != 4 * channels[0]:
        config["time_embedding_dim"] = time_width
    return config


def _depth(level: _Level) -> int:
    if len(set(level.depths)) != 1:
        raise LayoutError("the blocks of a level attend differently")
    return level.depths[0]


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


def _same_or_list(values: list[int]) -> int | list[int]:
    return values[0] if len(set(values)) == 1 else values
