"""Check what a configuration file says before a constructor sees it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

MAX_NUMBER = 1_000_000
MAX_LIST = 64
MAX_LAYERS = 128
_LAYER_COUNTS = (
    "layers_per_block",
    "transformer_layers_per_block",
    "num_hidden_layers",
    "num_layers",
    "num_single_layers",
)


def known_arguments(made: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a config that a constructor knows, checked to be of a sane size.

    Raises:
        ValueError: a value is too big, too long or not plain.
    """
    known = inspect.signature(made.__init__).parameters
    arguments = {}
    for name, value in config.items():
        if name in known and name not in ("self", "kwargs") and not name.startswith("_"):
            _check_value(name, value, MAX_LAYERS if name in _LAYER_COUNTS else MAX_NUMBER)
            arguments[name] = value
    return arguments


def only_known(arguments: Mapping[str, Any], allowed: frozenset[str], *names: str) -> None:
    """Check that the named arguments say nothing but what is allowed.

    Raises:
        ValueError: one says something else.
    """
    for name in names:
        value = arguments.get(name)
        for item in (value,) if isinstance(value, str) else value or ():
            if item not in allowed:
                raise ValueError(f"{name} {item!r} is not known here")


def _check_value(name: str, value: Any, limit: int) -> None:
    if isinstance(value, (list, tuple)):
        if len(value) > MAX_LIST:
            raise ValueError(f"{name} has {len(value)} entries")
        for item in value:
            _check_value(name, item, limit)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, (int, float)):
        if not abs(value) <= limit:
            raise ValueError(f"{name} is {value}")
    elif isinstance(value, str):
        if len(value) > 64:
            raise ValueError(f"{name} is too long")
    else:
        raise ValueError(f"{name} is not a plain value")
