"""The table of parameters that the API's png-info answers."""

from __future__ import annotations

import re

from modules.gallery.infotext import ParsedInfotext

_SIZE = re.compile(r"(\d{1,6})\s*[xX]\s*(\d{1,6})")

DEFAULTS = {
    "Clip skip": "1",
    "Hires resize-1": "0",
    "Hires resize-2": "0",
    "Hires sampler": "Use same sampler",
    "Hires schedule type": "Use same scheduler",
    "Hires checkpoint": "Use same checkpoint",
    "Hires prompt": "",
    "Hires negative prompt": "",
    "Mask mode": "Inpaint masked",
    "Masked content": "original",
    "Inpaint area": "Whole picture",
    "Masked area padding": "32",
    "RNG": "GPU",
    "Schedule type": "Automatic",
    "Schedule max sigma": "0",
    "Schedule min sigma": "0",
    "Schedule rho": "0",
    "VAE Encoder": "Full",
    "VAE Decoder": "Full",
    "FP8 weight": "Disable",
    "Refiner switch by sampling steps": "False",
}
"""Values of keys that are not written when they have A1111's default."""


def a1111_parameters(parsed: ParsedInfotext) -> dict[str, str]:
    """The table `/sdapi/v1/png-info` answers: strings only, sizes split, defaults filled in."""
    table: dict[str, str] = {}
    for key, value in parsed.parameters.items():
        size = _SIZE.fullmatch(value)
        if size:
            table[f"{key}-1"], table[f"{key}-2"] = size.groups()
        else:
            table[key] = value
    table["Prompt"] = parsed.prompt
    table["Negative prompt"] = parsed.negative
    if not parsed.parameters and not parsed.prompt:
        return table
    for key, value in DEFAULTS.items():
        table.setdefault(key, value)
    if "(" in parsed.prompt + parsed.negative or "[" in parsed.prompt + parsed.negative:
        table.setdefault("Emphasis", "Original")
    return table
