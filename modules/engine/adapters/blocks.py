"""Block weights: how strongly an adapter acts in each part of the denoising network.

The names and orders are those of the extension "LoRA Block Weight": BASE is the text encoder, IN00
to IN11 go down, MID is the middle, OUT00 to OUT11 go up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch

from modules.engine.adapters.original_names import block_prefixes

LORA_SD = (
    *("BASE", "IN01", "IN02", "IN04", "IN05", "IN07", "IN08", "MID"),
    *(f"OUT{number:02}" for number in range(3, 12)),
)
"""Blocks with attention of Stable Diffusion 1 and 2: 17 values."""
ALL_SD = (
    "BASE",
    *(f"IN{number:02}" for number in range(12)),
    "MID",
    *(f"OUT{number:02}" for number in range(12)),
)
"""All blocks of Stable Diffusion 1 and 2: 26 values."""
LORA_XL = (
    *("BASE", "IN04", "IN05", "IN07", "IN08", "MID"),
    *(f"OUT{number:02}" for number in range(6)),
)
"""Blocks with attention of SDXL: 12 values."""
ALL_XL = (
    "BASE",
    *(f"IN{number:02}" for number in range(9)),
    "MID",
    *(f"OUT{number:02}" for number in range(9)),
)
"""All blocks of SDXL: 20 values."""
LAYOUTS: Mapping[int, tuple[str, ...]] = {
    len(names): names for names in (LORA_SD, ALL_SD, LORA_XL, ALL_XL)
}

PRESETS: Mapping[str, str] = {
    "NONE": "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0",
    "ALL": "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
    "INS": "1,1,1,1,0,0,0,0,0,0,0,0,0,0,0,0,0",
    "IND": "1,0,0,0,1,1,1,0,0,0,0,0,0,0,0,0,0",
    "INALL": "1,1,1,1,1,1,1,0,0,0,0,0,0,0,0,0,0",
    "MIDD": "1,0,0,0,1,1,1,1,1,1,1,1,0,0,0,0,0",
    "OUTD": "1,0,0,0,0,0,0,0,1,1,1,1,0,0,0,0,0",
    "OUTS": "1,0,0,0,0,0,0,0,0,0,0,0,1,1,1,1,1",
    "OUTALL": "1,0,0,0,0,0,0,0,1,1,1,1,1,1,1,1,1",
    "ALL0.5": "0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5",
}
"""The extension's own presets."""

_SIDES = {"in": "IN", "mid": "MID", "out": "OUT"}
_NUMBERED = re.compile(r"(transformer_blocks|single_transformer_blocks)\.(\d+)\.")


def block_of(path: str, network: torch.nn.Module) -> str:
    """The block that a layer of a denoising network belongs to; "" outside of all blocks."""
    numbered = _NUMBERED.match(path)
    if numbered is not None:
        letter = "S" if numbered[1].startswith("single") else "D"
        return f"{letter}{int(numbered[2]):02}"
    if path == "conv_in":
        return "IN00"
    if not hasattr(network, "down_blocks"):
        return ""
    return _unet_block(path, _prefixes(network))


def _unet_block(path: str, prefixes: Mapping[str, str]) -> str:
    parts = path.split(".")
    for length in (5, 4, 3):
        original = prefixes.get(".".join(parts[:length]))
        if original is not None:
            side, number = original.split(".")[:2]
            if side == "middle_block":
                return "MID"
            return f"{'IN' if side == 'input_blocks' else 'OUT'}{int(number):02}"
    if parts[0] in ("conv_out", "conv_norm_out"):
        count = sum(
            1 for original in prefixes.values() if re.match(r"output_blocks\.\d+\.0$", original)
        )
        return f"OUT{max(0, count - 1):02}"
    return ""


def _prefixes(network: torch.nn.Module) -> Mapping[str, str]:
    """Remembered on the network: asked once per layer."""
    known = network.__dict__.get("_easel_blocks")
    if known is None:
        known = network.__dict__["_easel_blocks"] = block_prefixes(network)
    return known


def read_blocks(text: str) -> dict[str, float]:
    """Factors by block from ``lbw=``: a preset's name, or numbers in one of the known orders.

    FLUX.1 and Stable Diffusion 3 take one number for the text encoders and one per block. Blocks
    that an order leaves out get 0.

    Raises:
        ValueError: it is neither; says what is allowed.
    """
    values = _numbers(PRESETS.get(text.strip().upper(), text))
    names: Sequence[str] = LAYOUTS.get(len(values), ())
    if not names and len(values) in (1 + 19 + 38, 1 + 57):
        names = ("BASE", *(f"D{n:02}" for n in range(19)), *(f"S{n:02}" for n in range(38)))
    if not names and 20 < len(values) <= 39:
        names = ("BASE", *(f"D{n:02}" for n in range(len(values) - 1)))
    if not names:
        allowed = ", ".join(map(str, sorted(LAYOUTS)))
        raise ValueError(
            f"lbw has {len(values)} values; allowed: {allowed}, or {', '.join(PRESETS)}"
        )
    given = dict(zip(names, values, strict=True))
    # A short list speaks of blocks with attention alone; the others are then left out.
    return {**dict.fromkeys(ALL_SD, 0.0), "": given["BASE"], **given}


def read_sides(named: Mapping[str, str]) -> dict[str, float]:
    """Factors by block from ``in=``, ``mid=`` and ``out=``: one for each third of the UNet.

    Raises:
        ValueError: one of them is not a number.
    """
    factors: dict[str, float] = {}
    for key, side in _SIDES.items():
        if key not in named:
            continue
        value = _numbers(named[key])[0]
        names = [side] if side == "MID" else [f"{side}{number:02}" for number in range(12)]
        factors.update(dict.fromkeys(names, value))
    return factors


def _numbers(text: str) -> list[float]:
    values = []
    for item in text.split(","):
        try:
            value = float(item)
        except ValueError:
            raise ValueError(f"{item.strip()[:40]!r} is not a number") from None
        if value != value or abs(value) > 1e6:
            raise ValueError(f"{item.strip()[:40]!r} is not possible")
        values.append(value)
    return values
