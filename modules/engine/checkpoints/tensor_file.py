"""Read tensors of a safetensors file straight into memory that is already there.

The bytes are read with plain reads, not mapped: a file that shrinks or is replaced while it is
read then gives an error instead of killing the process, no page of the file stays resident, and
one staging buffer serves all conversions, which on machines with slow page faults is also faster.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
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

    def read_into(self, name: str, destination: torch.Tensor) -> None:
        """Fill `destination` from the tensor `name`, converting its number format.

        The shapes may differ in places of length 1, as a 1x1 convolution's from a linear layer's.

        Raises:
            UnreadableModelError: the file ended early or cannot be read.
        """
        entry = self.header.tensors[name]
        dtype = DTYPES[entry.dtype]
        direct = (
            destination.dtype == dtype
            and destination.device.type == "cpu"
            and destination.is_contiguous()
            and entry.end > entry.begin
        )
        with torch.no_grad():
            if direct:
                self._read(entry.begin, destination.detach().reshape(-1).view(torch.uint8), name)
            elif destination.is_contiguous():
                self._convert(name, entry, dtype, destination.detach().reshape(-1))
            else:
                destination.copy_(self.get(name).reshape(destination.shape))

    def _convert(
        self, name: str, entry: TensorEntry, dtype: torch.dtype, flat: torch.Tensor
    ) -> None:
        """Read and convert block by block, so that the bytes are still in the processor's cache."""
        if self._staging is None:
            block = HOST_BLOCK if flat.device.type == "cpu" else DEVICE_BLOCK
            self._staging = torch.empty(block, dtype=torch.uint8)
        width = dtype.itemsize
        step = self._staging.numel() // width
        for start in range(0, flat.numel(), step):
            part = flat[start : start + step]
            staged = self._staging[: part.numel() * width]
            self._read(entry.begin + start * width, staged, name)
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
