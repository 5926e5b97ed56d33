"""Hypernetworks in A1111's format: small networks before the keys and values of attention.

For each width of attention there are two: `x + strength * layers(x)` is what keys, and another what
values are made from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modules.catalog.errors import UnsupportedModelError, shown
from modules.engine.adapters.adapter_file import stamp_of
from modules.engine.adapters.hypernetwork_hooks import Hypernetwork
from modules.engine.weight_files import read_weights

ACTIVATIONS = {
    "relu": torch.nn.ReLU,
    "leakyrelu": torch.nn.LeakyReLU,
    "elu": torch.nn.ELU,
    "swish": torch.nn.Hardswish,
    "tanh": torch.nn.Tanh,
    "sigmoid": torch.nn.Sigmoid,
    **{
        one.__name__.lower(): one
        for one in (
            *(torch.nn.CELU, torch.nn.GELU, torch.nn.Hardshrink, torch.nn.Hardsigmoid),
            *(torch.nn.Hardswish, torch.nn.Hardtanh, torch.nn.LogSigmoid, torch.nn.Mish),
            *(torch.nn.ReLU6, torch.nn.SELU, torch.nn.SiLU, torch.nn.Softplus),
            *(torch.nn.Softshrink, torch.nn.Softsign, torch.nn.Tanhshrink),
        )
    },
}
"""A1111's names; "linear" is none."""
_OLD_NAMES = {
    "linear1.bias": "linear.0.bias",
    "linear1.weight": "linear.0.weight",
    "linear2.bias": "linear.1.bias",
    "linear2.weight": "linear.1.weight",
}
MAX_WIDTH = 8192
MAX_LAYERS = 32


def read_hypernetwork(path: Path) -> Hypernetwork:
    """Read a `.pt` file.

    Raises:
        UnreadableModelError: it is missing, damaged or hostile.
        UnsupportedModelError: it is no hypernetwork of a known shape.
    """
    content = read_weights(path)
    layers = {}
    for key, value in content.items():
        width = _width(key)
        if width is None or not isinstance(value, (list, tuple)) or len(value) < 2:
            continue
        pair = [_module(path, width, state, content) for state in value[:2]]
        layers[width] = (pair[0], pair[1])
    if not layers:
        raise UnsupportedModelError(path, "is not a hypernetwork")
    return Hypernetwork(path.stem, stamp_of(path), layers)


def _width(key: Any) -> int | None:
    if isinstance(key, bool) or not isinstance(key, (int, str)) or not str(key).isdigit():
        return None
    return int(key) if 0 < int(key) <= MAX_WIDTH else None


def _module(path: Path, width: int, state: Any, content: Mapping[Any, Any]) -> torch.nn.Sequential:
    """One network with its weights."""
    if not isinstance(state, Mapping):
        raise UnsupportedModelError(path, "is not a hypernetwork")
    named = {_OLD_NAMES.get(str(k), str(k)): v for k, v in state.items() if isinstance(v, Tensor)}
    try:
        with torch.device("meta"):
            built = torch.nn.Sequential(*_layers(path, width, content))
        floats = {name.removeprefix("linear."): value.float() for name, value in named.items()}
        built.load_state_dict(floats, strict=True, assign=True)
    except RuntimeError as error:
        reason = f"does not have the layers that it describes ({shown(str(error), 120)})"
        raise UnsupportedModelError(path, reason) from error
    return built.eval().requires_grad_(False)


def _layers(path: Path, width: int, content: Mapping[Any, Any]) -> list[torch.nn.Module]:
    structure = content.get("layer_structure") or [1, 2, 1]
    if not _is_structure(structure):
        raise UnsupportedModelError(path, f"has an impossible structure ({shown(str(structure))})")
    activation = str(content.get("activation_func") or "linear").lower()
    if activation != "linear" and activation not in ACTIVATIONS:
        raise UnsupportedModelError(path, f"has an unknown activation ({shown(activation, 40)})")
    dropout = _dropout(content, len(structure))
    layers: list[torch.nn.Module] = []
    last = len(structure) - 2
    for number in range(last + 1):
        outputs = int(width * structure[number + 1])
        layers.append(torch.nn.Linear(int(width * structure[number]), outputs))
        if activation != "linear" and (number < last or content.get("activate_output", True)):
            layers.append(ACTIVATIONS[activation]())
        if content.get("is_layer_norm"):
            layers.append(torch.nn.LayerNorm(outputs))
        if dropout[number + 1]:
            layers.append(torch.nn.Identity())  # only counts while training, but has a number
    return layers


def _is_structure(structure: Any) -> bool:
    return (
        isinstance(structure, (list, tuple))
        and 2 <= len(structure) <= MAX_LAYERS
        and all(type(n) in (int, float) and 0 < n <= 64 for n in structure)
        and structure[0] == structure[-1] == 1
    )


def _dropout(content: Mapping[Any, Any], count: int) -> Sequence[bool]:
    """After which layers there is a dropout."""
    given = content.get("dropout_structure")
    if isinstance(given, (list, tuple)) and len(given) == count:
        return [bool(share) for share in given]
    if not content.get("use_dropout"):
        return [False] * count
    middle = [True] * max(0, count - 3)
    return [False, *middle, bool(content.get("last_layer_dropout")), False][-count:]
