"""Textual inversions: word vectors that were trained to mean something (Gal et al. 2022)."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modules.catalog.embedding_images import IMAGE_SUFFIXES, embedding_of_image
from modules.catalog.errors import UnsupportedModelError
from modules.engine.adapters.adapter_file import stamp_of
from modules.engine.weight_files import read_weights

ENCODERS = ("clip_l", "clip_g", "t5xxl")
"""Names of parts for one text encoder each, in files for families with several."""
MAX_VECTORS = 1000


@dataclass(frozen=True)
class Embedding:
    """One learned word."""

    name: str
    """As prompts spell it."""
    parts: Mapping[str, Tensor]
    """"*" for the only text encoder, or one of `ENCODERS`; each [vectors, width] in float32."""
    stamp: Hashable
    """Equal for the same content."""
    hash: str = ""
    """What infotext says of it: the first twelve digits of the file's sha256, or the name of the
    LoRA that it came with."""
    bundled: bool = False
    """It came along with a LoRA."""

    @property
    def vectors(self) -> int:
        """How many tokens it takes in a prompt."""
        return max(len(part) for part in self.parts.values())

    def fitted(
        self, widths: Sequence[int], optional: Collection[int] = ()
    ) -> dict[int, Tensor] | None:
        """Its vectors by the place of the text encoder, whose ``widths`` are given; None if they
        are for encoders of other widths. Encoders at ``optional`` places may go without."""
        if len(widths) == 1:
            part = next(iter(self.parts.values()))
            return {0: part} if len(self.parts) == 1 and part.shape[1] == widths[0] else None
        places: dict[int, Tensor] = {}
        for name, part in self.parts.items():
            free = [p for p, w in enumerate(widths) if w == part.shape[1] and p not in places]
            if name == "*" or not free:
                return None
            places[free[0]] = part
        needed = set(range(len(widths))) - set(optional)
        return places if needed <= places.keys() else None

    @property
    def width(self) -> int:
        """Width of all parts together, as A1111 counts it: 768, 1024, 2048."""
        return sum(part.shape[1] for part in self.parts.values())


def read_embedding(path: Path, name: str | None = None) -> Embedding:
    """Read a `.pt`, `.bin` or `.safetensors` file, or a picture that carries an embedding.

    Raises:
        UnreadableModelError: it is missing, damaged or hostile.
        UnsupportedModelError: it is no textual inversion.
    """
    if path.suffix.lower() in IMAGE_SUFFIXES:
        found = embedding_of_image(path)
        parts = {key: torch.from_numpy(value) for key, value in found.parts.items()}
        return Embedding(name or found.name or path.stem, parts, stamp_of(path))
    parts = embedding_parts(path, read_weights(path))
    return Embedding(name or path.stem, parts, stamp_of(path))


def embedding_parts(path: Path, content: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The vectors in a file's content, whatever program wrote it.

    Raises:
        UnsupportedModelError: there are none, or of several words.
    """
    inner = content.get("string_to_param", content)
    if isinstance(inner, Mapping):
        inner = inner.get("_parameters", inner)
    if not isinstance(inner, Mapping):
        raise UnsupportedModelError(path, "is not a textual inversion embedding")
    tensors = {str(key): value for key, value in inner.items() if isinstance(value, Tensor)}
    named = {key: value for key, value in tensors.items() if key in ENCODERS}
    if not named:
        if len(tensors) != 1:
            reason = "holds several words" if tensors else "is not a textual inversion embedding"
            raise UnsupportedModelError(path, reason)
        named = {"*": next(iter(tensors.values()))}
    parts = {key: _vectors(path, value) for key, value in named.items()}
    if len({len(part) for part in parts.values()}) != 1:
        raise UnsupportedModelError(path, "has different numbers of vectors for its text encoders")
    return parts


def _vectors(path: Path, value: Tensor) -> Tensor:
    value = value[None] if value.ndim == 1 else value
    if value.ndim != 2 or not 0 < len(value) <= MAX_VECTORS or not value.is_floating_point():
        raise UnsupportedModelError(path, "is not a textual inversion embedding")
    vectors = value.float()
    if not bool(torch.isfinite(vectors).all()):
        raise UnsupportedModelError(path, "has numbers that are not finite")
    return vectors
