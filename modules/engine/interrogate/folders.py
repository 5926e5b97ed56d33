"""Model folders in Hugging Face's layout: a configuration, weights, a vocabulary."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from modules.catalog.errors import UnreadableModelError, UnsupportedModelError, shown
from modules.engine.weight_files import read_weights, state_dict_of

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
MAX_CONFIG_BYTES = 1024 * 1024
MAX_LAYERS = 100


def find_folder(places: list[Path]) -> Path | None:
    """The first of the folders, or of their subfolders, with a configuration and weights."""
    for place in places:
        try:
            inside = sorted(path for path in place.iterdir() if path.is_dir())
        except OSError:
            continue
        for folder in (place, *inside):
            if (folder / "config.json").is_file() and weights_of(folder) is not None:
                return folder
    return None


def weights_of(folder: Path) -> Path | None:
    """The weights file of a model folder."""
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)


def read_config(path: Path) -> dict[str, Any]:
    """A model's configuration.

    Raises:
        UnreadableModelError: it is not there, too long, or no JSON object.
    """
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise UnreadableModelError(path, "is too long for a configuration")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableModelError(path, f"cannot be read ({shown(str(error))})") from error
    if not isinstance(content, dict):
        raise UnreadableModelError(path, "is not a configuration")
    return content


def plain_part(config: Mapping[str, Any], part: str, path: Path) -> dict[str, Any]:
    """The numbers and short words of one part of a configuration ("text_config").

    Raises:
        UnsupportedModelError: a number is beyond what such models have.
    """
    values = config.get(part)
    plain: dict[str, Any] = {}
    for name, value in (values if isinstance(values, dict) else {}).items():
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            continue
        limit = MAX_LAYERS if name in ("num_hidden_layers", "num_attention_heads") else 200_000
        if isinstance(value, str) and name != "hidden_act":
            continue
        if isinstance(value, (int, float)) and abs(value) > limit:
            raise UnsupportedModelError(path, f"its {part} says {name} = {value}")
        plain[name] = value
    return plain


def load_network(
    build: Callable[[], torch.nn.Module],
    path: Path,
    device: torch.device,
    prepare: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]] = lambda state: state,
) -> torch.nn.Module:
    """Build a network without memory and give it the weights of a file.

    Raises:
        UnreadableModelError: the file is damaged or the weights are another network's.
    """
    state = prepare(state_dict_of(read_weights(path), "model", "state_dict"))
    try:
        with torch.device("meta"):
            network = build()
        expected = network.state_dict()
        fitting = {name: state[name].float() for name in expected}
        network.load_state_dict(fitting, strict=True, assign=True)
    except KeyError as error:
        raise UnreadableModelError(path, f"lacks the weight {shown(str(error))}") from error
    except (RuntimeError, ValueError, TypeError, ZeroDivisionError) as error:
        reason = f"does not fit its configuration ({shown(str(error))})"
        raise UnreadableModelError(path, reason) from error
    _number_positions(network)
    return network.eval().requires_grad_(False).to(device)


def _number_positions(network: torch.nn.Module) -> None:
    """Fill in the rows of position numbers, the only values that files do not carry."""
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.device.type == "meta":
                setattr(module, name, torch.arange(buffer.shape[-1]).expand(buffer.shape))
