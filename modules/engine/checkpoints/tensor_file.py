"""Read tensors of a safetensors file straight into memory that is already there.

A file that shrinks or is replaced while it is read gives an error and does not kill the process:
it is mapped only under a lease (`leased_map`), which saves the conversions a copy, and read with
plain reads elsewhere, through one staging buffer. No page of the file stays resident.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import torch

from modules.catalog.errors import UnreadableModelError, shown
from modules.catalog.gguf import BLOCKS
from modules.catalog.header import Header, TensorEntry, open_regular
from modules.catalog.weights import weights_header
from modules.engine.checkpoints.blocks import decoder
from modules.engine.checkpoints.leased_map import LeasedMap, map_leased

DTYPES: Mapping[str, torch.dtype] = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
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
DIRECT_BLOCK = 4 * 1024 * 1024
"""Bytes read at a time where nothing is converted: so often someone may stop it."""

LARGEST_FP8 = torch.finfo(torch.float8_e4m3fn).max

FLOATING = frozenset(name for name, dtype in DTYPES.items() if dtype.is_floating_point)


@dataclass(frozen=True)
class Care:
    """What is looked after while a file is read."""

    tick: Callable[[], None] | None = None
    """Called every few megabytes; what it raises ends the reading."""
    finite: bool = False
    """Refuse weights that are NaN or infinite: all they can give is a black picture."""


CARELESS = Care()


class TensorFile:
    """An open safetensors file whose header has been checked. A context manager."""

    def __init__(self, header: Header, care: Care = CARELESS) -> None:
        self.header = header
        self._care = care
        self._stream: IO[bytes] | None = None
        self._staging: torch.Tensor | None = None
        self._map: LeasedMap | None = None

    @classmethod
    def open(cls, path: Path) -> TensorFile:
        """Check the header of a file; the data is opened on entering the context.

        Raises:
            UnreadableModelError: the file is damaged.
        """
        return cls(weights_header(path))

    def __enter__(self) -> TensorFile:
        try:
            self._stream = open_regular(self.header.path)
        except OSError as error:
            reason = f"cannot be read ({error.strerror or error})"
            raise UnreadableModelError(self.header.path, reason) from error
        try:
            self.check_unchanged()
        except UnreadableModelError:
            self._stream.close()
            raise
        self._map = map_leased(self._stream, self.header.file_size)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._staging = None

    def check_unchanged(self) -> None:
        """Call after the last read: what was read may be half old, half new.

        Raises:
            UnreadableModelError: the file is not the one any more whose header was read.
        """
        assert self._stream is not None, "the file is not open"
        status = os.fstat(self._stream.fileno())
        same_size = status.st_size == self.header.file_size
        if not same_size or self.header.modified not in (0, status.st_mtime_ns):
            raise UnreadableModelError(self.header.path, "changed while it was loaded")

    def get(self, name: str) -> torch.Tensor:
        """A tensor as it is in the file, on the CPU."""
        entry = self.header.tensors[name]
        tensor = torch.empty(entry.shape, dtype=_plain(entry))
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
            straight = torch.empty(shape, dtype=_plain(entry))
            self._read_rows(name, entry, straight, rows)
            with torch.no_grad():
                destination.copy_(straight.T if transposed else straight)
            return
        with torch.no_grad():
            self._read_rows(name, entry, destination.detach(), rows)

    def read_blocks(
        self, name: str, destination: torch.Tensor, rows: Sequence[tuple[int, int]] = ()
    ) -> None:
        """Fill `destination` [rows, bytes of a row] with a quantised matrix as it is in the file.

        `rows` as for `read_into`.

        Raises:
            UnreadableModelError: the file ended early, cannot be read or holds NaN.
        """
        entry = self.header.tensors[name]
        form, decode = BLOCKS[entry.dtype], decoder(entry.dtype, self.header.path)
        width = destination.shape[1]
        step = max(1, DIRECT_BLOCK // width)
        done = 0
        for begin, end in rows or ((0, entry.shape[0]),):
            for start in range(begin, end, step):
                count = min(step, end - start)
                staged = torch.empty((count, width), dtype=torch.uint8)
                self._read(entry.begin + start * width, staged.reshape(-1), name)
                if self._care.finite:
                    self._check(decode(staged.reshape(-1)), name)
                destination[done : done + count] = staged
                done += count
        assert done == len(destination) and width % form.size == 0

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
        if entry.strides is not None:
            destination.copy_(self._gathered(name, entry, rows).reshape(destination.shape))
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

    def _gathered(
        self, name: str, entry: TensorEntry, rows: Sequence[tuple[int, int]]
    ) -> torch.Tensor:
        """Rows of a tensor whose numbers do not follow each other in the file."""
        assert entry.strides is not None
        dtype = DTYPES[entry.dtype]
        span = torch.empty((entry.end - entry.begin) // dtype.itemsize, dtype=dtype)
        self._read_bytes(entry.begin, span, name)
        tensor = span.as_strided(entry.shape, entry.strides)
        return torch.cat([tensor[begin:end] for begin, end in rows]) if rows else tensor

    def _read_span(self, name: str, entry: TensorEntry, first: int, flat: torch.Tensor) -> None:
        """Fill `flat` from the elements `first` … of a tensor in the file."""
        if entry.dtype in BLOCKS:
            self._decode(name, entry, first, flat)
            return
        dtype = DTYPES[entry.dtype]
        begin = entry.begin + first * dtype.itemsize
        if flat.dtype != dtype or flat.device.type != "cpu":
            self._convert(name, begin, dtype, flat)
        else:
            self._read_bytes(begin, flat, name)

    def _read_bytes(self, begin: int, flat: torch.Tensor, name: str) -> None:
        """Fill `flat` with bytes of the file as they are."""
        width = flat.dtype.itemsize
        step = DIRECT_BLOCK // width
        for start in range(0, flat.numel(), step):
            part = flat[start : start + step]
            self._read(begin + start * width, part.view(torch.uint8), name)
            self._check(part, name)

    def _convert(self, name: str, begin: int, dtype: torch.dtype, flat: torch.Tensor) -> None:
        """Fill `flat` with converted numbers, piece by piece."""
        done, width = 0, dtype.itemsize
        while done < flat.numel():
            position, rest = begin + done * width, (flat.numel() - done) * width
            values = self._piece(position, rest, width, name, flat.device).view(dtype)
            part = flat[done : done + values.numel()]
            done += values.numel()
            if part.dtype == torch.float8_e4m3fn and dtype != part.dtype:
                self._check(values, name)
                copy_within(part, values)
                continue
            part.copy_(values)
            self._check(part if part.device.type == "cpu" else values, name)

    def _piece(
        self, position: int, most: int, width: int, name: str, device: torch.device
    ) -> torch.Tensor:
        """At most `most` bytes of the file, whole numbers of `width` bytes, until the next call.

        They come from the mapped file, or as a block through the staging buffer, small enough to be
        converted while it is in the processor's cache.
        """
        if self._map is not None and device.type == "cpu" and position % width == 0:
            self._tick()
            # What is looked at once more after its conversion shall still be in that cache.
            mapped = self._map.piece(position, min(most, HOST_BLOCK) if self._care.finite else most)
            if mapped is not None:
                return mapped
        if self._staging is None:
            block = HOST_BLOCK if device.type == "cpu" else DEVICE_BLOCK
            self._staging = torch.empty(block, dtype=torch.uint8)
        staged = self._staging[: min(most, self._staging.numel())]
        self._read(position, staged, name)
        return staged

    def _decode(self, name: str, entry: TensorEntry, first: int, flat: torch.Tensor) -> None:
        """Read blocks of a quantised tensor and compute their numbers."""
        form, decode = BLOCKS[entry.dtype], decoder(entry.dtype, self.header.path)
        begin = entry.begin + first // form.numbers * form.size
        count = flat.numel() // form.numbers
        step = DIRECT_BLOCK // form.size
        raw = torch.empty(min(step, count) * form.size, dtype=torch.uint8)
        for start in range(0, count, step):
            part = flat[start * form.numbers : (start + step) * form.numbers]
            staged = raw[: part.numel() // form.numbers * form.size]
            self._read(begin + start * form.size, staged, name)
            values = decode(staged.to(flat.device))
            self._check(values, name)
            copy_within(part, values)

    def _check(self, part: torch.Tensor, name: str) -> None:
        """Refuse what is not finite, while it is still in the processor's cache."""
        if self._care.finite and not _is_finite(part):
            reason = f"has NaN or infinite numbers in {shown(name)!r}: it is damaged"
            raise UnreadableModelError(self.header.path, reason)

    def _tick(self) -> None:
        if self._care.tick is not None:
            self._care.tick()

    def _read(self, position: int, into: torch.Tensor, name: str) -> None:
        assert self._stream is not None, "the file is not open"
        self._tick()
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


def copy_within(destination: torch.Tensor, values: torch.Tensor) -> None:
    """Copy numbers, those too large for eight bits as the largest: there they would be NaN."""
    if destination.dtype == torch.float8_e4m3fn and values.dtype != destination.dtype:
        values = values.clamp(-LARGEST_FP8, LARGEST_FP8)
    destination.copy_(values)


def _plain(entry: TensorEntry) -> torch.dtype:
    """The number format that a tensor of the file is read in without loss."""
    return torch.float32 if entry.dtype in BLOCKS else DTYPES[entry.dtype]


def _is_finite(values: torch.Tensor) -> bool:
    """Whether all numbers are finite; one sum tells it, unless that sum itself runs over."""
    if not values.is_floating_point():
        return True
    wide = values.to(torch.promote_types(values.dtype, torch.float32))
    return math.isfinite(wide.sum().item()) or bool(torch.isfinite(wide).all())
