"""Parts of models that lie in files of their own: text encoders for checkpoints without them.

They are looked for in the folders that other programs use for them (`models/text_encoder`,
`models/text_encoders`, `models/clip`), above the checkpoint and in the program's own folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modules.catalog.errors import ModelFileError
from modules.catalog.header import Header
from modules.catalog.scan import GGUF_SUFFIX, SAFE_SUFFIX
from modules.catalog.weights import weights_header

TEXT_ENCODERS = "text_encoder"
"""The folder that messages name."""
TEXT_FOLDERS = (TEXT_ENCODERS, "text_encoders", "clip", "CLIP")
DEPTH_FOLDERS = ("depth_estimator", "midas", "MiDaS")
_SUFFIXES = (SAFE_SUFFIX, GGUF_SUFFIX)
MAX_FILES = 200
MAX_LEVELS = 4
TRANSFORMERS, OPEN_CLIP = "transformers", "OpenCLIP"
_PREFIXES = ("", "text_encoders.clip_l.transformer.", "text_encoders.clip_g.transformer.")


@dataclass(frozen=True)
class TextFile:
    """A CLIP text model in a file of its own, or among the tensors of a checkpoint."""

    header: Header
    prefix: str
    """Before every tensor's name."""
    layout: str
    """`TRANSFORMERS` or `OPEN_CLIP` names."""
    width: int
    projection: bool
    """Whether the projection of the text's summary is there."""


def text_model(header: Header, prefix: str = "") -> TextFile | None:
    """The CLIP text model below a prefix, in either layout; None when there is none."""
    for start in ("text_model.", ""):
        shape = header.shape(f"{prefix}{start}embeddings.token_embedding.weight")
        if shape is not None and len(shape) == 2:
            projection = f"{prefix}text_projection.weight" in header
            return TextFile(header, prefix, TRANSFORMERS, shape[1], projection)
    shape = header.shape(f"{prefix}token_embedding.weight")
    if shape is None or len(shape) != 2 or not header.has_prefix(f"{prefix}transformer.resblocks."):
        return None
    projection = any(f"{prefix}{name}" in header for name in _PROJECTIONS)
    return TextFile(header, prefix, OPEN_CLIP, shape[1], projection)


_PROJECTIONS = ("text_projection", "text_projection.weight")


def text_files(model: Path, configs: Path) -> Iterator[TextFile]:
    """All CLIP text models in the usual folders near a checkpoint, by folder and name."""
    for header in part_headers(model, configs):
        for prefix in _PREFIXES:
            found = text_model(header, prefix)
            if found is not None:
                yield found


def part_headers(model: Path, configs: Path) -> Iterator[Header]:
    """Headers of the readable files in the text encoders' folders; others are passed over."""
    count = 0
    for folder in part_folders(model, configs):
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() not in _SUFFIXES or not file.is_file():
                continue
            count += 1
            if count > MAX_FILES:
                return
            try:
                yield weights_header(file)
            except ModelFileError:
                continue


def depth_estimator(model: Path) -> Path | None:
    """The folder of a depth estimator in transformers' layout: the model's own, else one near it;
    None without one."""
    for root in (model, *list(model.parents)[:MAX_LEVELS]):
        for name in DEPTH_FOLDERS:
            folder = root / name
            if (folder / "config.json").is_file() and (folder / "model.safetensors").is_file():
                return folder
    return None


def part_folders(model: Path, configs: Path) -> Iterator[Path]:
    """The folders for text encoders that exist, those nearest to the checkpoint first."""
    roots = [*list(model.parents)[:MAX_LEVELS], configs.parent / "models"]
    seen: set[Path] = set()
    for root in roots:
        for name in TEXT_FOLDERS:
            folder = root / name
            # Lower and upper case are one folder on some systems.
            if folder.is_dir() and not any(folder.samefile(one) for one in seen):
                seen.add(folder)
                yield folder
