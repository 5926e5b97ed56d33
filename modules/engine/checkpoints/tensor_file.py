"""Read tensors of a safetensors file straight into memory that is already there.

The bytes are read with plain reads, not mapped: a file that shrinks or is replaced while it is
read then gives an error instead of killing the process, no page of the file stays resident, and
one staging buffer serves all conversions, which on machines with slow page faults is also faster.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import torch

from modules.catalog.errors import UnreadableModelError, shown
from modules.catalog.header import Header, TensorEntry, open_regular, safetensors_header

DTYPES: Mapping[str, torch.dtype] = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
HOST_BLOCK = 1024 * 1024
"""Bytes converted at a time on the CPU: well within a level-2 cache, twice over."""
DEVICE_BLOCK = 64 * 1024 * 1024

FLOATING = frozenset(name for name, dtype in DTYPES.items() if dtype.is_floating_point)


class TensorFile:
    """An open safetensors file whose header has been checked. A context manager."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self._stream: IO[bytes] | None = None
        self._staging: torch.Tensor | None = None

    @classmethod
    def open(cls, path: Path) -> TensorFile:
        """Check the header of a file; the data is opened on entering the context.

        Raises:
            UnreadableModelError: the file is damaged.
        """
        return cls(safetensors_header(path))

    def __enter__(self) -> TensorFile:
        try:
            self._stream = open_regular(self.header.path)
        except OSError as error:
            reason = f"cannot be read ({error.strerror or error})"
            raise UnreadableModelError(self.header.path, reason) from error
        if os.fstat(self._stream.fileno()).st_size != self.header.file_size:
            self._stream.close()
            raise UnreadableModelError(self.header.path, "changed while it was loaded")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._staging = None

    def get(self, name: str) -> torch.Tensor:
        """A tensor as it is in the file, on the CPU."""
        entry = self.header.tensors[name]
        tensor = torch.empty(entry.shape, dtype=DTYPES[entry.dtype])
        self.read_into(name, tensor)
        return tensor

    def read_into(
        self,
        name: str,
        destination: torch.Tensor,
        *,
        rows: Sequence[tuple[int, int]] = (),
        transposed: bool = False,
    ) -> None:
        """Fill `destination` from the tensor `name`, converting its number format.

        The shapes may differ in places of length 1, as a 1x1 convolution's from a linear layer's.
        `rows` are ranges of the first axis to be joined in this order (empty: all), `transposed`
        exchanges the axes of the matrix that results.

        Raises:
            UnreadableModelError: the file ended early or cannot be read.
        """
        entry = self.header.tensors[name]
        if transposed or not destination.is_contiguous():
            shape = destination.shape[::-1] if transposed else destination.shape
            straight = torch.empty(shape, dtype=DTYPES[entry.dtype])
            self._read_rows(name, entry, straight, rows)
            with torch.no_grad():
                destination.copy_(straight.T if transposed else straight)
            return
        with torch.no_grad():
            self._read_rows(name, entry, destination.detach(), rows)

    def _read_rows(
        self,
        name: str,
        entry: TensorEntry,
        destination: torch.Tensor,
        rows: Sequence[tuple[int, int]],
    ) -> None:
        """Fill a contiguous tensor from some or all rows of one in the file."""
        flat = destination.reshape(-1)
        if not flat.numel():
            return
        if not rows:
            self._read_span(name, entry, 0, flat)
            return
        length = math.prod(entry.shape[1:])
        done = 0
        for begin, end in rows:
            count = (end - begin) * length
            self._read_span(name, entry, begin * length, flat[done : done + count])
            done += count

    def _read_span(self, name: str, entry: TensorEntry, first: int, flat: torch.Tensor) -> None:
        """Fill `flat` from the elements `first` … of a tensor in the file."""
        dtype = DTYPES[entry.dtype]
        begin = entry.begin + first * dtype.itemsize
        if flat.dtype == dtype and flat.device.type == "cpu":
            self._read(begin, flat.view(torch.uint8), name)
        else:
            self._convert(name, begin, dtype, flat)

    def _convert(self, name: str, begin: int, dtype: torch.dtype, flat: torch.Tensor) -> None:
        """Read and convert block by block, so that the bytes are still in the processor's cache."""
        if self._staging is None:
            block = HOST_BLOCK if flat.device.type == "cpu" else DEVICE_BLOCK
            self._staging = torch.empty(block, dtype=torch.uint8)
        width = dtype.itemsize
        step = self._staging.numel() // width
        for start in range(0, flat.numel(), step):
            part = flat[start : start + step]
            staged = self._staging[: part.numel() * width]
            self._read(begin + start * width, staged, name)
            part.copy_(staged.view(dtype))

    def _read(self, position: int, into: torch.Tensor, name: str) -> None:
        assert self._stream is not None, "the file is not open"
        view = memoryview(into.numpy())
        try:
            self._stream.seek(position)
            done = 0
            while done < len(view):
                count = self._stream.readinto(view[done:])  # type: ignore[attr-defined]
                if not count:
                    reason = f"ended early: tensor {shown(name)!r} is missing bytes"
                    raise UnreadableModelError(self.header.path, reason)
                done += count
        except OSError as error:
            reason = f"cannot be read ({error.strerror or error})"
            raise UnreadableModelError(self.header.path, reason) from error
