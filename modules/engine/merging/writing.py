"""From weights that are planned to a file that is whole, told in bytes on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from modules.engine.merging.merge import Term, blocks_of, too_large_for_half
from modules.engine.merging.output import SafetensorsOutput
from modules.engine.merging.pieces import Reader
from modules.engine.merging.progress import ByteProgress


@dataclass(frozen=True)
class Written:
    """What a job that makes a model says at its end."""

    interrupted: bool
    facts: dict[str, Any]


def write_terms(
    terms: Sequence[Term],
    part: Path,
    metadata: Mapping[str, str],
    target: Path,
    progress: ByteProgress,
    *,
    overwrite: bool,
) -> tuple[str, bool]:
    """Write one file; its sha256, and whether numbers were too large for float16.

    Raises:
        StopSampling: the job shall end; nothing is left.
        RequestError: the name is taken, or the disk too small.
        UnreadableModelError: a model ended early, cannot be read, or changed.
    """
    overflowed = False
    slots = [term.slot for term in terms]
    with Reader() as reader, SafetensorsOutput(part, slots, metadata) as output:
        for term in terms:
            share = _Share(progress, term)
            for numbers in blocks_of(term, reader):
                overflowed = overflowed or too_large_for_half(numbers)
                output.write(numbers)
                share.advance(numbers)
            share.finish()
        reader.finish()
        return output.finish(target, overwrite=overwrite), overflowed


class _Share:
    """Spreads the bytes that one weight takes to read over its blocks."""

    def __init__(self, progress: ByteProgress, term: Term) -> None:
        self._progress = progress
        self._left = term.work
        self._ratio = term.work / max(1, term.slot.size)

    def advance(self, numbers: torch.Tensor) -> None:
        size = min(self._left, round(numbers.nbytes * self._ratio))
        self._left -= size
        self._progress.advance(size)

    def finish(self) -> None:
        self._progress.advance(self._left)
        self._left = 0
