"""What an embedding's file tells of itself without its numbers being read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.catalog.embedding_images import IMAGE_SUFFIXES, embedding_of_image
from modules.catalog.errors import ModelFileError, UnsupportedModelError
from modules.catalog.kinds import is_embedding
from modules.catalog.scan import Found
from modules.catalog.weights import is_safetensors, torch_index, weights_header
from modules.pickles.values import Tensor


@dataclass(frozen=True)
class EmbeddingInfo:
    """One textual inversion. `problem` says why it is skipped; empty for a good one."""

    name: str
    path: Path
    vectors: int = 0
    width: int = 0
    """Length of its vectors, of all text encoders together: 768, 1024, 2048."""
    widths: tuple[int, ...] = ()
    """The same for each text encoder."""
    step: int | None = None
    checkpoint: str | None = None
    """Hash of the checkpoint it was trained with."""
    checkpoint_name: str | None = None
    problem: str = ""

    def misfit(self, model: Sequence[int]) -> str:
        """Why it cannot be used with text encoders of these widths; "" when it can or that is not
        known."""
        if self.problem or not model or not self.widths or sorted(self.widths) == sorted(model):
            return self.problem
        ours, theirs = (" + ".join(map(str, sorted(one))) for one in (self.widths, model))
        name = self.path.name
        return f"{name}: has vectors of {ours} numbers, the checkpoint's text encoder of {theirs}"


def read_embedding_info(item: Found) -> EmbeddingInfo:
    """What an embedding's file tells without reading its numbers (pictures are read)."""
    name = item.path.stem
    try:
        if item.path.suffix.lower() in IMAGE_SUFFIXES:
            found = embedding_of_image(item.path)
            shapes = {key: value.shape for key, value in found.parts.items()}
            return _described(found.name or name, item.path, shapes, {"step": found.step})
        if is_safetensors(item.path):
            header = weights_header(item.path)
            if not is_embedding(header):
                raise UnsupportedModelError(item.path, "is not a textual inversion embedding")
            shapes = {key: entry.shape for key, entry in header.tensors.items()}
            return _described(name, item.path, shapes, {})
        content = torch_index(item.path).content
        return _described(name, item.path, _shapes(content), content)
    except ModelFileError as error:
        return EmbeddingInfo(name, item.path, problem=error.sentence)


def _described(
    name: str, path: Path, shapes: Mapping[str, tuple[int, ...]], told: Mapping[Any, Any]
) -> EmbeddingInfo:
    named = {key: shape for key, shape in shapes.items() if key in ("clip_l", "clip_g", "t5xxl")}
    used = list((named or shapes).values())
    if not used or (not named and len(used) > 1) or any(len(s) not in (1, 2) for s in used):
        reason = "holds several words" if len(used) > 1 else "is not a textual inversion embedding"
        raise UnsupportedModelError(path, reason)
    widths = tuple(shape[-1] for shape in used)
    vectors = used[0][0] if len(used[0]) == 2 else 1
    step, checkpoint = told.get("step"), told.get("sd_checkpoint")
    title = told.get("sd_checkpoint_name")
    return EmbeddingInfo(
        name,
        path,
        vectors,
        sum(widths),
        widths,
        step if type(step) is int else None,
        checkpoint if isinstance(checkpoint, str) else None,
        title if isinstance(title, str) else None,
    )


def _shapes(content: Mapping[Any, Any]) -> dict[str, tuple[int, ...]]:
    inner = content.get("string_to_param", content)
    if isinstance(inner, Mapping):
        inner = inner.get("_parameters", inner)
    if not isinstance(inner, Mapping):
        return {}
    return {str(key): value.shape for key, value in inner.items() if isinstance(value, Tensor)}
