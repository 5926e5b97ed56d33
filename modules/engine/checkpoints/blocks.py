"""Numbers out of GGUF's blocks, through diffusers' arithmetic (the package gguf names the formats).

A block holds some dozens of numbers as small integers and the scales that they share.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

from modules.catalog.errors import UnsupportedModelError
from modules.catalog.gguf import BLOCKS
from modules.engine.compat.torchvision_ops import make_torchvision_importable

Decode = Callable[[torch.Tensor], torch.Tensor]
"""Bytes [blocks * size] to numbers [blocks * numbers] in float32, on the same device."""


def decoder(name: str, path: Path) -> Decode:
    """How blocks of a number format are decoded; `path` is the file, for the message.

    Raises:
        UnsupportedModelError: the package gguf is not installed, or the installed diffusers does
            not know the format.
    """
    try:
        return _decoder(name)
    except ImportError as error:
        raise UnsupportedModelError(
            path, "is a GGUF file, which needs the package gguf; run launch.py to install it"
        ) from error
    except KeyError as error:
        raise UnsupportedModelError(
            path, f"has numbers in the format {name}, which this version of diffusers cannot read"
        ) from error


@cache
def _decoder(name: str) -> Decode:
    make_torchvision_importable()
    import gguf
    from diffusers.quantizers.gguf.utils import dequantize_functions

    form = BLOCKS[name]
    function = dequantize_functions[gguf.GGMLQuantizationType[name]]

    def decode(raw: torch.Tensor) -> torch.Tensor:
        blocks = raw.reshape(-1, form.size)
        return function(blocks, form.numbers, form.size, dtype=torch.float32).reshape(-1)

    return decode
