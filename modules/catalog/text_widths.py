"""Widths of a checkpoint's text encoders: what embeddings must fit."""

from __future__ import annotations

from pathlib import Path

from modules.catalog.checkpoints import CheckpointInfo
from modules.catalog.errors import ModelFileError
from modules.catalog.folders import read_json
from modules.catalog.weights import weights_header

_WORDS = "token_embedding.weight"


def text_widths(info: CheckpointInfo | None) -> tuple[int, ...]:
    """Width of the word vectors of each CLIP text encoder; empty when that cannot be told."""
    if info is None:
        return ()
    try:
        if info.kind == "folder":
            return _of_folder(info.path)
        header = weights_header(info.path)
    except (ModelFileError, OSError):
        return ()
    found = [e.shape[1] for n, e in header.tensors.items() if n.endswith(_WORDS)]
    return tuple(found)


def _of_folder(folder: Path) -> tuple[int, ...]:
    widths = []
    for part in ("text_encoder", "text_encoder_2", "text_encoder_3"):
        file = folder / part / "config.json"
        if not file.is_file():
            continue
        config = read_json(file, folder)
        width = config.get("hidden_size")
        if "clip" in str(config.get("model_type", "")).lower() and type(width) is int:
            widths.append(width)
    return tuple(widths)
