"""A weight by its original name, wherever and in how many parts it lies on disk."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import torch

from modules.catalog.errors import UnsupportedModelError, shown
from modules.catalog.gguf import BLOCKS
from modules.engine.checkpoints.components import Source
from modules.engine.checkpoints.tensor_file import DTYPES, FLOATING, TensorFile

UNFOLDED = "F16"
"""Format of weights that a file holds quantised, or in eight bits with a factor."""
BLOCK = 1024 * 1024
"""Numbers that are worked on at a time: 4 MB in float32, which processors' caches hold."""


@dataclass(frozen=True)
class Piece:
    """One weight. Its parts follow each other along the first axis; none at all means zeros."""

    parts: tuple[Source, ...]
    shape: tuple[int, ...]
    """As it is to be written; it may have axes of length 1 more or less than the file."""
    dtype: str
    """Of safetensors' names."""

    @classmethod
    def of(cls, *parts: Source, shape: tuple[int, ...] | None = None) -> Piece:
        """The weight made of these parts. Quantised ones count as float16, to which they unfold.

        Raises:
            UnsupportedModelError: its numbers are of a kind that cannot be computed with.
        """
        names = {_plain(part) for part in parts}
        joined = names.pop() if len(names) == 1 else "F32"
        first = parts[0].shape
        if shape is None:
            rows = sum(part.shape[0] for part in parts) if len(parts) > 1 else 0
            shape = (rows, *first[1:]) if len(parts) > 1 else first
        return cls(parts, shape, joined)

    @classmethod
    def zeros(cls, shape: tuple[int, ...], dtype: str) -> Piece:
        """A weight that is nothing but zeros."""
        return cls((), shape, dtype)

    @property
    def rows(self) -> int:
        """Length of the first axis; 1 for a single number."""
        return self.shape[0] if self.shape else 1

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return math.prod(self.shape[1:])

    @property
    def size(self) -> int:
        """Bytes as it lies on disk."""
        return self.rows * self.width * DTYPES[self.dtype].itemsize

    @property
    def floating(self) -> bool:
        """Whether its numbers can be mixed with others."""
        return self.dtype in FLOATING

    @property
    def bare_shape(self) -> tuple[int, ...]:
        """The shape without axes of length 1, by which weights are compared."""
        return tuple(length for length in self.shape if length != 1)

    @property
    def whole(self) -> bool:
        """Whether it had better be read at once: its rows do not follow each other on disk."""
        return any(
            part.transposed
            or part.header.tensors[part.tensor].strides is not None
            or (len(self.parts) == 1 and part.shape[:1] != self.shape[:1])
            for part in self.parts
        )


def spans(*pieces: Piece) -> Iterator[tuple[int, int]]:
    """Ranges of rows to work on, one after the other, in pieces with equally many rows."""
    first = pieces[0]
    whole = any(piece.whole for piece in pieces)
    step = max(1, first.rows if whole else BLOCK // max(1, first.width))
    for begin in range(0, first.rows, step):
        yield begin, min(first.rows, begin + step)


class Reader:
    """Reads rows of pieces; every file is opened once. A context manager."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._files: dict[Path, TensorFile] = {}

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        self._files.clear()

    def rows(self, piece: Piece, begin: int, end: int, dtype: torch.dtype) -> torch.Tensor:
        """Rows `begin` … `end` as a matrix [rows, width] on the CPU.

        Raises:
            UnreadableModelError: a file ended early, cannot be read, or changed.
        """
        if not piece.parts:
            return torch.zeros((end - begin, piece.width), dtype=dtype)
        found = torch.empty((end - begin, piece.width), dtype=dtype)
        offset = 0
        for part in piece.parts:
            length = piece.rows if len(piece.parts) == 1 else part.shape[0]
            low, high = max(begin - offset, 0), min(end - offset, length)
            if low < high:
                place = offset + low - begin
                self._read(part, low, high, length, found[place : place + high - low])
            offset += length
        return found

    def finish(self) -> None:
        """Call after the last row: what was read may be half old, half new.

        Raises:
            UnreadableModelError: a file is not the one any more whose header was read.
        """
        for file in self._files.values():
            file.check_unchanged()

    def _read(self, part: Source, low: int, high: int, length: int, into: torch.Tensor) -> None:
        if part.scale:
            self._scaled(part, low, high, length, into)
            return
        file = self._file(part)
        everything = (low, high) == (0, length)
        if part.transposed:
            whole = torch.empty(part.shape, dtype=into.dtype)
            file.read_into(part.tensor, whole, rows=part.rows, transposed=True)
            into.copy_(whole[low:high])
        elif everything:
            file.read_into(part.tensor, into, rows=part.rows)
        else:
            file.read_into(part.tensor, into, rows=list(_within(part, low, high)))

    def _scaled(self, part: Source, low: int, high: int, length: int, into: torch.Tensor) -> None:
        """Eight bits that come with a factor: multiplied in full."""
        wide = torch.empty(into.shape, dtype=torch.float32)
        self._read(replace(part, scale=""), low, high, length, wide)
        into.copy_(wide.mul_(self._file(part).get(part.scale).float().reshape(())))

    def _file(self, part: Source) -> TensorFile:
        path = part.header.path
        if path not in self._files:
            self._files[path] = self._stack.enter_context(TensorFile(part.header))
        return self._files[path]


def _plain(part: Source) -> str:
    """The number format that a part is written in, of safetensors' names.

    Raises:
        UnsupportedModelError: its numbers are of a kind that cannot be computed with.
    """
    dtype = part.header.tensors[part.tensor].dtype
    if part.scale or dtype in BLOCKS:
        return UNFOLDED
    if dtype not in DTYPES:
        reason = f"has {shown(part.tensor)!r} quantised ({shown(dtype, 20)})"
        raise UnsupportedModelError(part.header.path, reason)
    return dtype


def _within(part: Source, low: int, high: int) -> Iterator[tuple[int, int]]:
    """Rows of the file that are the rows `low` … `high` of a part."""
    offset = 0
    for begin, end in part.rows or ((0, part.header.tensors[part.tensor].shape[0]),):
        first, last = max(low - offset, 0), min(high - offset, end - begin)
        if first < last:
            yield begin + first, begin + last
        offset += end - begin
