"""Read a network's weights from a stranger's file without ever running what is in it.

The kind is told by content, not by name: safetensors, torch's zip format and torch's older format.
The last two hold a pickle, which is looked at by `modules.pickles` alone: it knows the dozen names
that a state dict needs and refuses every other, so that a pickle can build dictionaries and name
tensors and nothing else; torch's own loader is never called, and there is no other to fall back to.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from modules.catalog.header import Header, TensorEntry
from modules.catalog.weights import entry_of, is_safetensors, torch_index
from modules.engine.checkpoints.tensor_file import TensorFile
from modules.pickles.values import Tensor


def read_weights(path: Path) -> dict[Any, Any]:
    """Everything a weights file holds, as nested dictionaries; tensors are on the CPU.

    Raises:
        UnreadableModelError: the file is missing, damaged, hostile, or of no known format.
    """
    if is_safetensors(path):
        with TensorFile.open(path) as file:
            return {name: file.get(name) for name in file.header}
    index = torch_index(path)
    places: dict[str, TensorEntry] = {}
    content = _numbered(index.content, places)
    with TensorFile(Header(path, places, {}, index.file_size, index.modified)) as file:
        return dict(_with_tensors(content, file))


def state_dict_of(content: Mapping[Any, Any], *names: str) -> dict[str, torch.Tensor]:
    """The tensors among ``content``, or among the first of its entries ``names`` that is there.

    Training programs put a network under a name ("params_ema", "params", "state_dict").
    """
    inner = next((content[n] for n in names if isinstance(content.get(n), Mapping)), content)
    return {
        str(name).removeprefix("module."): value
        for name, value in inner.items()
        if isinstance(value, torch.Tensor)
    }


class _Number(str):
    """Stands for a tensor until its numbers are read."""


def _numbered(value: Any, places: dict[str, TensorEntry]) -> Any:
    if isinstance(value, Tensor):
        number = _Number(len(places))
        places[number] = entry_of(value)
        return number
    if isinstance(value, dict):
        return {key: _numbered(item, places) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbered(item, places) for item in value]
    return value


def _with_tensors(value: Any, file: TensorFile) -> Any:
    if isinstance(value, _Number):
        return file.get(value)
    if isinstance(value, dict):
        return {key: _with_tensors(item, file) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_tensors(item, file) for item in value]
    return value
