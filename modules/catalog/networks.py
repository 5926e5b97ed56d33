"""Embeddings and LoRA files as lists: names, paths, shapes and metadata from their headers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modules.catalog.checkpoints import PICKLE_REASON
from modules.catalog.errors import ModelFileError
from modules.catalog.header import Header, safetensors_header
from modules.catalog.kinds import is_embedding, is_lora
from modules.catalog.scan import Found, scan


@dataclass(frozen=True)
class EmbeddingInfo:
    """One textual inversion. `problem` says why it is skipped; empty for a good one."""

    name: str
    path: Path
    vectors: int = 0
    width: int = 0
    """Length of one vector; it must be the text encoder's width."""
    problem: str = ""


@dataclass(frozen=True)
class LoraInfo:
    """One LoRA file. `alias` is what its metadata calls it."""

    name: str
    path: Path
    alias: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""


def scan_embeddings(folder: Path) -> list[EmbeddingInfo]:
    """All textual inversions below a folder, by name."""
    return [_embedding(item) for item in scan([folder], folders=False)]


def scan_loras(folder: Path) -> list[LoraInfo]:
    """All LoRA files below a folder, by name."""
    return [_lora(item) for item in scan([folder], folders=False)]


def _embedding(item: Found) -> EmbeddingInfo:
    name = item.path.stem
    header, problem = _header(item)
    if header is None:
        return EmbeddingInfo(name, item.path, problem=problem)
    if not is_embedding(header):
        problem = f"{item.path.name}: is not a textual inversion embedding"
        return EmbeddingInfo(name, item.path, problem=problem)
    shape = next((e.shape for e in header.tensors.values() if e.shape), (0,))
    vectors = shape[0] if len(shape) == 2 else 1
    return EmbeddingInfo(name, item.path, vectors, shape[-1])


def _lora(item: Found) -> LoraInfo:
    name = item.path.stem
    header, problem = _header(item)
    if header is None:
        return LoraInfo(name, item.path, name, problem=problem)
    if not is_lora(header):
        problem = f"{item.path.name}: is not a LoRA of a known kind"
    metadata = {key: _decoded(value) for key, value in header.metadata.items()}
    alias = header.metadata.get("ss_output_name") or name
    return LoraInfo(name, item.path, alias, metadata, problem)


def _header(item: Found) -> tuple[Header | None, str]:
    if item.kind == "pickle":
        return None, f"{item.path.name}: {PICKLE_REASON}"
    try:
        return safetensors_header(item.path), ""
    except ModelFileError as error:
        return None, error.sentence


def _decoded(value: str) -> Any:
    """Trainers write JSON into metadata texts; A1111 shows it decoded."""
    if value[:1] not in "{[":
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
