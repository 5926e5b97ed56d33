"""Read a diffusers model folder: its index, its components' configs, its weight files.

Nothing that a folder says is executed or imported: class names are only compared with a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modules.catalog.errors import UnreadableModelError, UnsupportedModelError, shown
from modules.catalog.families.base import FolderFacts
from modules.catalog.header import open_regular

INDEX = "model_index.json"
MAX_JSON_BYTES = 1024 * 1024
MAX_INDEX_BYTES = 8 * 1024 * 1024
"""Of a shard index, which names every tensor."""

_SIMPLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,40}")
_CONFIG_NAMES = ("config.json", "scheduler_config.json", "preprocessor_config.json")
_STEMS = ("diffusion_pytorch_model", "model")
_VARIANTS = ("", ".fp32", ".fp16", ".bf16")
_OLD_STEMS = ("diffusion_pytorch_model", "pytorch_model")
"""Of `.bin` files, which hold a pickle and are read by our own reader."""


def is_model_folder(path: Path) -> bool:
    """Whether `path` is a folder with a diffusers pipeline in it."""
    return (path / INDEX).is_file()


def read_folder(path: Path) -> FolderFacts:
    """Read what a diffusers folder says about itself.

    Raises:
        UnreadableModelError: the index or a config is missing or not valid.
        UnsupportedModelError: the folder brings its own code, which is never run.
    """
    index = read_json(path / INDEX, path)
    classes = _classes(index)
    _refuse_code(path, classes)
    configs: dict[str, Mapping[str, Any]] = {}
    weights: dict[str, tuple[Path, ...]] = {}
    for name in classes:
        folder = path / name
        if not folder.is_dir():
            continue
        config = _config_of(folder, path)
        if config is not None:
            configs[name] = config
        weights[name] = weight_files(folder, path)
    return FolderFacts(path, str(index.get("_class_name", "")), classes, configs, weights)


def weight_files(folder: Path, model: Path) -> tuple[Path, ...]:
    """The files of one component's weights; empty when it has none.

    `.safetensors` wins over `.bin`, the plain file over its fp16 and bf16 variants; shards are
    listed by their index.

    Raises:
        UnreadableModelError: the shard index is not valid or names a missing file.
    """
    for stems, suffix in ((_STEMS, ".safetensors"), (_OLD_STEMS, ".bin")):
        for stem in stems:
            for variant in _VARIANTS:
                file = folder / f"{stem}{variant}{suffix}"
                if file.is_file():
                    return (file,)
                shards = folder / f"{stem}{suffix}.index{variant}.json"
                if shards.is_file():
                    return _shards(shards, model, suffix)
    return ()


def read_json(file: Path, model: Path, limit: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """Read a small JSON object.

    Raises:
        UnreadableModelError: naming `model`: the file is missing, too big or not a JSON object.
    """
    where = file.relative_to(model) if file.is_relative_to(model) else file.name
    try:
        with open_regular(file) as stream:
            raw = stream.read(limit + 1) or b""
    except OSError as error:
        reason = f"{where} cannot be read ({error.strerror or error})"
        raise UnreadableModelError(model, reason) from error
    if len(raw) > limit:
        raise UnreadableModelError(model, f"{where} is bigger than {limit >> 20} MB")
    try:
        content = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = f"{where} is not valid JSON ({shown(str(error))})"
        raise UnreadableModelError(model, reason) from error
    if not isinstance(content, dict):
        raise UnreadableModelError(model, f"{where} is not a JSON object")
    return content


def _classes(index: Mapping[str, Any]) -> dict[str, str]:
    classes: dict[str, str] = {}
    for name, value in index.items():
        if not _SIMPLE_NAME.fullmatch(name) or not isinstance(value, list) or len(value) != 2:
            continue
        if isinstance(value[1], str):
            classes[name] = value[1]
    return classes


def _refuse_code(path: Path, classes: Mapping[str, str]) -> None:
    for folder in (path, *(path / name for name in classes)):
        if folder.is_dir() and any(file.suffix == ".py" for file in folder.iterdir()):
            raise UnsupportedModelError(
                path, "brings its own Python code, which is never run; remove the .py files"
            )


def _config_of(folder: Path, model: Path) -> dict[str, Any] | None:
    for name in _CONFIG_NAMES:
        if (folder / name).is_file():
            return read_json(folder / name, model)
    return None


def _shards(index: Path, model: Path, suffix: str) -> tuple[Path, ...]:
    table = read_json(index, model, MAX_INDEX_BYTES).get("weight_map")
    names = sorted(set(table.values())) if _is_name_table(table) else []
    if not names or len(names) > 200:
        raise UnreadableModelError(model, f"{index.name} does not list its files")
    files = tuple(index.parent / name for name in names)
    for file in files:
        if file.parent != index.parent or file.suffix != suffix or not file.is_file():
            reason = f"{shown(file.name)}, which {index.name} names, is missing"
            raise UnreadableModelError(model, reason)
    return files


def _is_name_table(table: Any) -> bool:
    return isinstance(table, dict) and all(
        isinstance(name, str) and "/" not in name and "\\" not in name for name in table.values()
    )
