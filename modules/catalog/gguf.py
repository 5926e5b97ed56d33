"""Read the header of a GGUF file: our own reader, strict, with bounded time and memory.

Layout (ggml's specification, versions 2 and 3, little-endian): "GGUF", version, number of tensors,
number of facts; the facts (name, type, value); the tensors (name, lengths of the axes, the fastest
first, number format, place); then, at a multiple of the alignment, the data. Number formats are
blocks of so many numbers in so many bytes along the fastest axis.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from modules.catalog.errors import UnreadableModelError, UnsupportedModelError, shown
from modules.catalog.header import Header, TensorEntry, open_regular

MAGIC = b"GGUF"
SUFFIX = ".gguf"
VERSIONS = (2, 3)
MAX_TENSORS = 65_536
MAX_FACTS = 4096
MAX_STRING = 1 << 20
MAX_ITEMS = 1 << 20
MAX_HEADER_BYTES = 32 * 1024 * 1024
MAX_DIMENSIONS = 4
ALIGNMENT = "general.alignment"
OWN_SHAPE = "comfy.gguf.orig_shape."
"""Facts with the shape of a tensor that had to be reshaped to be quantised."""


@dataclass(frozen=True)
class BlockFormat:
    """A number format: `numbers` values in `size` bytes."""

    name: str
    numbers: int
    size: int


FORMATS: Mapping[int, BlockFormat] = {
    0: BlockFormat("F32", 1, 4),
    1: BlockFormat("F16", 1, 2),
    2: BlockFormat("Q4_0", 32, 18),
    3: BlockFormat("Q4_1", 32, 20),
    6: BlockFormat("Q5_0", 32, 22),
    7: BlockFormat("Q5_1", 32, 24),
    8: BlockFormat("Q8_0", 32, 34),
    10: BlockFormat("Q2_K", 256, 84),
    11: BlockFormat("Q3_K", 256, 110),
    12: BlockFormat("Q4_K", 256, 144),
    13: BlockFormat("Q5_K", 256, 176),
    14: BlockFormat("Q6_K", 256, 210),
    20: BlockFormat("IQ4_NL", 32, 18),
    23: BlockFormat("IQ4_XS", 256, 136),
    30: BlockFormat("BF16", 1, 2),
}
"""By ggml's number. Others (I-quants of 1 to 3 bits, ternary) are refused by name."""
BLOCKS: Mapping[str, BlockFormat] = {one.name: one for one in FORMATS.values() if one.numbers > 1}
"""Formats whose numbers have to be computed from blocks."""
_SCALARS: Mapping[int, str] = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING, _ARRAY = 8, 9


def is_gguf(path: Path) -> bool:
    """Whether a file begins as GGUF files do.

    Raises:
        UnreadableModelError: it is no file, or cannot be read.
    """
    try:
        with open_regular(path) as stream:
            return (stream.read(len(MAGIC)) or b"") == MAGIC
    except OSError as error:
        raise UnreadableModelError(path, f"cannot be read ({error.strerror or error})") from error


def gguf_header(path: Path) -> Header:
    """Names, shapes and places of a GGUF file's tensors; plain facts become the metadata.

    Raises:
        UnreadableModelError: the file is damaged, cut short or describes impossible data.
        UnsupportedModelError: it has a number format or version that is not known here.
    """
    try:
        with open_regular(path) as stream:
            status = os.fstat(stream.fileno())
            return _Reader(stream, path, status.st_size, status.st_mtime_ns).header()
    except OSError as error:
        raise UnreadableModelError(path, f"cannot be read ({error.strerror or error})") from error


class _Reader:
    """Reads one header from its beginning to its end."""

    def __init__(self, stream: IO[bytes], path: Path, size: int, modified: int) -> None:
        self._stream = stream
        self._path = path
        self._size = size
        self._modified = modified
        self._buffer = b""
        self._place = 0
        self._passed = 0
        """Bytes before the buffer."""

    def header(self) -> Header:
        if self._take(4) != MAGIC:
            raise self._bad("is not a GGUF file")
        version = self._number("<I")
        if version not in VERSIONS:
            raise UnsupportedModelError(
                self._path, f"is GGUF of version {version}; versions 2 and 3 are known"
            )
        tensors, facts = self._number("<Q"), self._number("<Q")
        if tensors > MAX_TENSORS or facts > MAX_FACTS:
            raise self._bad(f"claims {tensors} tensors and {facts} facts")
        metadata, shapes = self._facts(facts)
        alignment = int(metadata.get(ALIGNMENT, "32"))
        if not 1 <= alignment <= 65_536:
            raise self._bad(f"has the alignment {alignment}")
        raw = [self._tensor() for _ in range(tensors)]
        start = -(-(self._passed + self._place) // alignment) * alignment
        entries: dict[str, TensorEntry] = {}
        for name, shape, form, offset in raw:
            if name in entries:
                raise self._bad(f"has the tensor {shown(name)!r} twice")
            entries[name] = self._entry(name, shapes.get(name, shape), shape, form, start + offset)
        self._check_places(entries)
        return Header(self._path, entries, metadata, self._size, self._modified)

    def _facts(self, count: int) -> tuple[dict[str, str], dict[str, tuple[int, ...]]]:
        metadata: dict[str, str] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        for _ in range(count):
            name, value = self._text(), self._value(self._number("<I"))
            if name.startswith(OWN_SHAPE) and isinstance(value, list) and _are_lengths(value):
                shapes[name.removeprefix(OWN_SHAPE)] = tuple(value)
            elif not isinstance(value, list):
                metadata[name] = str(value)
        return metadata, shapes

    def _value(self, kind: int, depth: int = 0) -> Any:
        if kind == _STRING:
            return self._text()
        if kind in _SCALARS:
            return self._number(_SCALARS[kind])
        if kind != _ARRAY or depth > 2:
            raise self._bad(f"has a fact of the unknown type {kind}")
        inner, count = self._number("<I"), self._number("<Q")
        if count > MAX_ITEMS:
            raise self._bad(f"has a list of {count} entries")
        return [self._value(inner, depth + 1) for _ in range(count)]

    def _tensor(self) -> tuple[str, tuple[int, ...], BlockFormat, int]:
        name, dimensions = self._text(), self._number("<I")
        if dimensions > MAX_DIMENSIONS:
            raise self._bad(f"has {dimensions} axes in {shown(name)!r}")
        lengths = [self._number("<Q") for _ in range(dimensions)]
        number, offset = self._number("<I"), self._number("<Q")
        if number not in FORMATS:
            raise UnsupportedModelError(
                self._path,
                f"has tensors in ggml's number format {number}, which cannot be read here; "
                f"known: {', '.join(form.name for form in FORMATS.values())}",
            )
        return name, tuple(reversed(lengths)), FORMATS[number], offset

    def _entry(
        self,
        name: str,
        shape: tuple[int, ...],
        stored: tuple[int, ...],
        form: BlockFormat,
        begin: int,
    ) -> TensorEntry:
        if any(length >= 1 << 40 for length in stored) or math.prod(shape) != math.prod(stored):
            raise self._bad(f"has an impossible shape in {shown(name)!r}")
        count = math.prod(stored)
        fastest = stored[-1] if stored else 1
        if fastest % form.numbers or (shape and shape[-1] % form.numbers and form.numbers > 1):
            raise self._bad(f"has rows in {shown(name)!r} that are no whole blocks")
        return TensorEntry(form.name, shape, begin, begin + count // form.numbers * form.size)

    def _check_places(self, entries: Mapping[str, TensorEntry]) -> None:
        position = 0
        for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
            if entry.begin < position:
                raise self._bad(f"is damaged: {shown(name)!r} overlaps another tensor")
            position = entry.end
        if position > self._size:
            raise self._bad(f"is cut short: {position} bytes expected, {self._size} found")

    def _text(self) -> str:
        length = self._number("<Q")
        if length > MAX_STRING:
            raise self._bad(f"has a text of {length} bytes in its header")
        try:
            return self._take(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._bad("has a name that is not text") from error

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _take(self, length: int) -> bytes:
        while len(self._buffer) - self._place < length:
            self._passed += self._place
            if self._passed > MAX_HEADER_BYTES:
                raise self._bad("has a header of more than 32 MB")
            more = self._stream.read(max(1 << 16, length))
            if not more:
                raise self._bad("is cut short within its header")
            self._buffer = self._buffer[self._place :] + more
            self._place = 0
        taken = self._buffer[self._place : self._place + length]
        self._place += length
        return taken

    def _bad(self, reason: str) -> UnreadableModelError:
        return UnreadableModelError(self._path, reason)


def _are_lengths(value: list[Any]) -> bool:
    return 0 < len(value) <= MAX_DIMENSIONS and all(
        type(item) is int and 0 < item < 1 << 31 for item in value
    )
