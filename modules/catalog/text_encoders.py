"""T5 encoders, and VAEs of the transformer families, that lie apart from their checkpoints.

SD3 and FLUX.1 are mostly published as the transformer alone. Which file is which is told by names
and shapes (CLIP: see `modules.catalog.parts`); only VAEs, which have the same shape in
both families, are told apart by how their files are called.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from modules.catalog.errors import ModelFileError
from modules.catalog.header import Header
from modules.catalog.kinds import decoder_prefix
from modules.catalog.parts import MAX_LEVELS, part_headers
from modules.catalog.scan import scan
from modules.catalog.weights import weights_header

_T5_WORDS = ("shared.weight", "encoder.embed_tokens.weight", "token_embd.weight")
_T5_MARKS = ("encoder.block.0.layer.0.SelfAttention.q.weight", "enc.blk.0.attn_q.weight")
VAE_FOLDER = "VAE"


def t5_width(header: Header, prefix: str = "") -> int | None:
    """Width of the states of the T5 encoder below a prefix; None when there is none."""
    if not any(f"{prefix}{mark}" in header for mark in _T5_MARKS):
        return None
    for name in _T5_WORDS:
        shape = header.shape(f"{prefix}{name}")
        if shape is not None and len(shape) == 2:
            return shape[1]
    return None


def t5_file(model: Path, configs: Path, width: int) -> Header | None:
    """The T5 encoder of that width in the text encoders' folders, the biggest (most exact) file."""
    found = [one for one in part_headers(model, configs) if t5_width(one) == width]
    return max(found, key=lambda header: header.file_size, default=None)


def vae_files(model: Path, configs: Path, starts: tuple[str, ...]) -> Iterator[Header]:
    """VAE files in the VAE folders near a checkpoint whose names begin as told, by folder."""
    roots = [*list(model.parents)[:MAX_LEVELS], configs.parent / "models"]
    for folder in dict.fromkeys(root / VAE_FOLDER for root in roots):
        for item in scan([folder], folders=False):
            if not item.path.name.lower().startswith(starts):
                continue
            try:
                header = weights_header(item.path)
            except ModelFileError:
                continue
            if decoder_prefix(header) is not None:
                yield header
