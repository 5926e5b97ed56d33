"""Read the header of a safetensors file: our own reader, strict, with bounded time and memory.

Layout of a file: 8 bytes little-endian length n, n bytes of JSON, then the tensors' bytes. The
JSON maps a tensor's name to `{"dtype", "shape", "data_offsets": [begin, end]}`; the offsets count
from the end of the header and must tile the rest of the file without holes or overlaps.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from modules.catalog.errors import UnreadableModelError, shown

MAX_HEADER_BYTES = 16 * 1024 * 1024
"""A real SDXL header is below 1 MB; the library's own limit of 100 MB costs 40 s and 2 GB."""
MAX_STRINGS = 400_000
MAX_BRACKETS = 400_000
MAX_VALUES = 1_000_000
HARMLESS_BYTES = 1024 * 1024
"""Parsing a header up to this size costs little whatever it holds."""
MAX_DIMENSIONS = 16
REMEMBERED = 8
"""Headers that are kept in memory, each of them only if it is short."""
SETTLED_NS = 2 * 10**9
"""Nanoseconds without a change after which a file's dates tell the next one for sure."""

BITS: Mapping[str, int] = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E5M2FNUZ": 8,
    "F8_E4M3FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}
"""Bits of one element by the format's dtype names."""

_STRING = re.compile(rb'"[^"]*"')
"""A string, once escapes are gone."""


@dataclass(frozen=True)
class TensorEntry:
    """Where one tensor lies. `begin` and `end` are byte positions in the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int
    strides: tuple[int, ...] | None = None
    """In numbers, where those do not follow each other (torch's files only)."""


@dataclass(frozen=True)
class Header:
    """Names, shapes and places of a safetensors file's tensors, all checked."""

    path: Path
    tensors: Mapping[str, TensorEntry]
    metadata: Mapping[str, str]
    file_size: int
    modified: int = 0
    """Modification time in nanoseconds when it was read; 0 where that does not matter."""

    def __contains__(self, name: object) -> bool:
        return name in self.tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a tensor, or None when there is no such tensor."""
        entry = self.tensors.get(name)
        return entry.shape if entry else None

    def has_prefix(self, prefix: str) -> bool:
        """Whether any tensor's name starts with `prefix`."""
        return any(name.startswith(prefix) for name in self.tensors)


def safetensors_header(path: Path) -> Header:
    """Read and check the header of a `.safetensors` file.

    Raises:
        UnreadableModelError: the file is missing, not a regular file, cut short, or its header is
            too big, not JSON, or describes impossible, overlapping or missing data.
    """
    try:
        with open_regular(path) as stream:
            status = os.fstat(stream.fileno())
            known = _RECENT.get(path, status)
            if known is not None:
                return known
            size = status.st_size
            raw, data_start = _raw_header(stream, size, path)
    except OSError as error:
        raise UnreadableModelError(path, f"cannot be read ({error.strerror or error})") from error
    content = _parse(raw, path)
    metadata = _metadata(content.pop("__metadata__", {}), path)
    tensors = _tensors(content, data_start, size, path)
    header = Header(path, tensors, metadata, size, status.st_mtime_ns)
    if len(raw) <= HARMLESS_BYTES:
        _RECENT.keep(header, status)
    return header


class _RecentHeaders:
    """The headers read last: a checkpoint's is asked for several times while it is loaded."""

    def __init__(self) -> None:
        self._headers: dict[tuple[int, ...], Header] = {}

    def get(self, path: Path, status: os.stat_result) -> Header | None:
        """The header of a file that is still as it was, read by the same path."""
        header = self._headers.get(_identity(status))
        return header if header is not None and header.path == path else None

    def keep(self, header: Header, status: os.stat_result) -> None:
        """Remember a header, and forget the oldest of too many."""
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < SETTLED_NS:
            return  # the next change may get the same date
        recent = [(key, one) for key, one in self._headers.items() if one.path != header.path]
        # Replaced as a whole, so that threads need not wait for each other.
        self._headers = {**dict(recent[-REMEMBERED + 1 :]), _identity(status): header}


_RECENT = _RecentHeaders()


def _identity(status: os.stat_result) -> tuple[int, ...]:
    dates = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_size, *dates)


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file for reading; links are followed, pipes and devices never wait.

    Raises:
        UnreadableModelError: it is a folder, a pipe, a socket or a device.
        OSError: it cannot be opened.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableModelError(path, "is not a regular file")
    return os.fdopen(descriptor, "rb", buffering=0)


def _raw_header(stream: IO[bytes], size: int, path: Path) -> tuple[bytes, int]:
    if size < 10:
        raise UnreadableModelError(path, f"is too short to be a safetensors file ({size} bytes)")
    length = int.from_bytes(_read_all(stream, 8), "little")
    if length > MAX_HEADER_BYTES:
        if length > size:
            raise UnreadableModelError(
                path, "is not a safetensors file, or is damaged at its start"
            )
        raise UnreadableModelError(
            path, f"has a header of {length >> 20} MB; more than 16 MB is refused"
        )
    if 8 + length > size:
        raise UnreadableModelError(
            path, f"is cut short: the header says {length} bytes, the file has {size}"
        )
    raw = _read_all(stream, length)
    if len(raw) != length:
        raise UnreadableModelError(path, "changed while it was read")
    return raw, 8 + length


def _read_all(stream: IO[bytes], length: int) -> bytes:
    pieces: list[bytes] = []
    while length > 0:
        piece = stream.read(length)
        if not piece:
            break
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def _parse(raw: bytes, path: Path) -> dict[str, Any]:
    _check_complexity(raw, path)
    try:
        content = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique_pairs,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError) as error:
        reason = "is nested too deeply" if isinstance(error, RecursionError) else shown(str(error))
        raise UnreadableModelError(path, f"has a header that is not valid: {reason}") from error
    if not isinstance(content, dict):
        raise UnreadableModelError(path, "has a header that is not a JSON object")
    return content


def _check_complexity(raw: bytes, path: Path) -> None:
    """Refuse a header whose parsed form would be many times its size, before parsing it."""
    if raw[:1] != b"{":
        raise UnreadableModelError(path, "is not a safetensors file (its header is not JSON)")
    if len(raw) <= HARMLESS_BYTES:
        return
    # Without escapes every quote begins or ends a string. One pass each, at memory speed.
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    if plain.count(b'"') > 2 * MAX_STRINGS:
        raise UnreadableModelError(path, "has a header with too many entries")
    structure = _STRING.sub(b"", plain)
    if structure.count(b"{") + structure.count(b"[") > MAX_BRACKETS:
        raise UnreadableModelError(path, "has a header with too many parts")
    if structure.count(b",") > MAX_VALUES:
        raise UnreadableModelError(path, "has a header with too many values")


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a name occurs twice")
    return content


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _metadata(given: Any, path: Path) -> dict[str, str]:
    if not isinstance(given, dict):
        raise UnreadableModelError(path, "has metadata that is not an object")
    if not all(isinstance(value, str) for value in given.values()):
        raise UnreadableModelError(path, "has metadata that is not text")
    return given


def _tensors(
    content: dict[str, Any], data_start: int, size: int, path: Path
) -> dict[str, TensorEntry]:
    tensors = {name: _entry(name, value, data_start, path) for name, value in content.items()}
    position = data_start
    for name, entry in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != position:
            what = "overlaps another tensor" if entry.begin < position else "follows a hole"
            raise UnreadableModelError(path, f"is damaged: {shown(name)!r} {what}")
        position = entry.end
    if position != size:
        what = "is cut short" if position > size else "has more bytes than its header tells"
        raise UnreadableModelError(path, f"{what}: {position} bytes expected, {size} found")
    return tensors


def _entry(name: str, value: Any, data_start: int, path: Path) -> TensorEntry:
    def fail(what: str) -> UnreadableModelError:
        return UnreadableModelError(path, f"is damaged: tensor {shown(name)!r} {what}")

    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise fail("is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise fail(f"has the unknown type {shown(str(dtype), 40)!r}")
    if not _is_list_of_counts(shape) or len(shape) > MAX_DIMENSIONS:
        raise fail("has an impossible shape")
    if not _is_list_of_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise fail("has impossible offsets")
    if math.prod(shape) * BITS[dtype] != (offsets[1] - offsets[0]) * 8:
        raise fail("has a size that does not fit its shape")
    return TensorEntry(dtype, tuple(shape), data_start + offsets[0], data_start + offsets[1])


def _is_list_of_counts(value: Any) -> bool:
    return isinstance(value, list) and all(
        type(item) is int and 0 <= item < 1 << 62 for item in value
    )
