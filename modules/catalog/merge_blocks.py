"""Which block of a UNet a weight belongs to, and ready-made weights for the blocks.

The blocks are counted as people who merge count them: the input blocks, the middle one, the output
blocks. SD 1.x and 2.x have 25 of them (IN00 to IN11, M00, OUT00 to OUT11), SDXL 19.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping

_PLACE = re.compile(r"(input_blocks|output_blocks|middle_block)\.(\d+)\.")
_EMA_PLACE = re.compile(r"(input_blocks|output_blocks|middle_block)(\d+)")
UNET, EMA = "model.diffusion_model.", "model_ema.diffusion_model"


def block_of(name: str, inputs: int) -> int | None:
    """The number of the block of a weight by its original name; None outside the UNet.

    Weights before all blocks (the time embedding) go with the first, those behind with the last.

    Args:
        inputs: how many input blocks the UNet has; as many output blocks follow the middle one.
    """
    ema = name.startswith(EMA)
    if not ema and not name.startswith(UNET):
        return None
    rest = name[len(EMA if ema else UNET) :]
    match = (_EMA_PLACE if ema else _PLACE).match(rest)
    if match is None:
        return 2 * inputs if rest.startswith("out") else 0
    if match[1] == "middle_block":
        return inputs
    # Without dots "input_blocks101" is block 10, entry 1: an entry has one digit.
    number = int(match[2][:-1] if ema else match[2])
    return number if match[1] == "input_blocks" else inputs + 1 + number


def input_blocks(names: Iterable[str]) -> int:
    """How many input blocks a UNet has; 0 when there is none of this kind."""
    numbers = {
        int(match[2])
        for name in names
        if name.startswith(UNET) and (match := _PLACE.match(name[len(UNET) :]))
        if match[1] == "input_blocks"
    }
    return max(numbers) + 1 if numbers else 0


def labels(count: int) -> list[str]:
    """Names of the blocks of a UNet with so many: IN00, …, M00, OUT00, …"""
    inputs = (count - 1) // 2
    return [
        *(f"IN{number:02}" for number in range(inputs)),
        "M00",
        *(f"OUT{number:02}" for number in range(inputs)),
    ]


def _smooth(x: float) -> float:
    return x * x * (3 - 2 * x)


_CURVES: Mapping[str, Callable[[float], float]] = {
    "GRAD_V": lambda x: abs(2 * x - 1),
    "GRAD_A": lambda x: 1 - abs(2 * x - 1),
    "FLAT_25": lambda x: 0.25,
    "FLAT_75": lambda x: 0.75,
    "RAMP_UP": lambda x: x,
    "RAMP_DOWN": lambda x: 1 - x,
    "SMOOTHSTEP": _smooth,
    "REVERSE_SMOOTHSTEP": lambda x: 1 - _smooth(x),
    "COSINE": lambda x: (1 + math.cos(2 * math.pi * x)) / 2,
    "REVERSE_COSINE": lambda x: (1 - math.cos(2 * math.pi * x)) / 2,
    "INPUTS": lambda x: 1.0 if x < 0.5 else 0.0,
    "MIDDLE": lambda x: 1.0 if abs(x - 0.5) < 1e-9 else 0.0,
    "OUTPUTS": lambda x: 1.0 if x > 0.5 else 0.0,
}
PRESETS = tuple(_CURVES)


def preset(name: str, count: int) -> list[float]:
    """Ready-made weights for so many blocks, from 0 (all of A) to 1 (all of B).

    Raises:
        KeyError: there is no such preset.
    """
    curve = _CURVES[name]
    return [round(curve(place / (count - 1)), 6) for place in range(count)]
