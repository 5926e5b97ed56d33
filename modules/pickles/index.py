"""From a torch file to what it holds and where: torch's zip format, and its format before 1.6."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import IO, Any

from modules.pickles.archive import Entry, read_entries, read_entry
from modules.pickles.machine import Machine
from modules.pickles.values import BITS, FileIndex, Inert, Refused, Storage, Tensor, View

MAX_PICKLE = 8 * 1024 * 1024
"""Bytes; a state dict of 10,000 tensors has about 1 MB of pickle."""
MAX_NODES = 500_000
MAX_TENSORS = 50_000
"""The largest models have some thousands; with an optimiser's state three times as many."""
MAX_DEPTH = 16
MAX_SHARING = 4
"""Tensors may share numbers (tied weights), but not claim more than so many times the file."""
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
ZIP, TAR = b"PK\x03\x04", b"ustar"

_PICKLE = re.compile(r"[^/]+/data\.pkl")


def read_index(stream: IO[bytes]) -> FileIndex:
    """What a torch file holds. Reads a few megabytes of it, whatever its size.

    Raises:
        Refused: it is damaged, hostile or no weights file.
        OSError: it cannot be read.
    """
    status = os.fstat(stream.fileno())
    content = _content(stream, status.st_size)
    return FileIndex(content, status.st_size, status.st_mtime_ns)


def _content(stream: IO[bytes], size: int) -> dict[Any, Any]:
    stream.seek(0)
    start = stream.read(512) or b""
    if start[:4] == ZIP:
        return _from_zip(stream, size)
    if start[257:262] == TAR:
        raise Refused("is of torch's first format (before 2017), which is not read any more")
    if start[:1] != b"\x80":
        raise Refused("is of no known format")
    return _from_legacy(stream, size)


def _from_zip(stream: IO[bytes], size: int) -> dict[Any, Any]:
    entries = read_entries(stream)
    table = [name for name in entries if _PICKLE.fullmatch(name)]
    if len(table) != 1:
        raise Refused("is a zip archive of something else")
    root = table[0].partition("/")[0]
    if f"{root}/constants.pkl" in entries:
        raise Refused("is a TorchScript program, not weights")
    order = entries.get(f"{root}/byteorder")
    if order is not None and read_entry(stream, order, 16).strip() != b"little":
        raise Refused("has its numbers in another byte order")
    if entries[table[0]].size > MAX_PICKLE:
        raise Refused("has too long a table of contents")
    machine = Machine(read_entry(stream, entries[table[0]], MAX_PICKLE))
    content = machine.run()
    places = {
        key: _entry_of(storage, entries.get(f"{root}/data/{key}"))
        for key, storage in machine.storages.items()
    }
    return _tidied(content, places, size)


def _entry_of(storage: Storage, entry: Entry | None) -> int:
    if entry is None or entry.size != _bytes(storage):
        raise Refused("is damaged: a tensor's bytes are missing")
    return entry.begin


def _from_legacy(stream: IO[bytes], size: int) -> dict[Any, Any]:
    stream.seek(0)
    data = _read(stream, min(size, MAX_PICKLE + 4096))
    head = Machine(data)
    if head.run() != LEGACY_MAGIC:
        raise Refused("is a pickle, but not one of torch's")
    position, values = head.end, []
    for _ in range(2):
        machine = Machine(data, position)
        values.append(machine.run())
        position = machine.end
    if values[0] != LEGACY_PROTOCOL or not isinstance(values[1], dict):
        raise Refused("is of an unknown version of torch's format")
    if values[1].get("little_endian") is not True:
        raise Refused("has its numbers in another byte order")
    table = Machine(data, position)
    content = table.run()
    if sum(map(_bytes, table.storages.values())) > size:
        raise Refused("is cut short: it names more numbers than it holds")
    keys = Machine(data, table.end)
    order = keys.run()
    if not isinstance(order, list) or sorted(map(str, order)) != sorted(table.storages):
        raise Refused("is damaged: its list of storages is wrong")
    storages = [table.storages[str(key)] for key in order]
    return _tidied(content, _legacy_places(stream, storages, keys.end, size), size)


def _legacy_places(
    stream: IO[bytes], storages: list[Storage], position: int, size: int
) -> dict[str, int]:
    """The storages follow each other, each behind the number of its elements."""
    places = {}
    for storage in storages:
        stream.seek(position)
        count = int.from_bytes(_read(stream, 8), "little")
        begin = position + 8
        position = begin + _bytes(storage)
        if count != storage.count or position > size:
            raise Refused("is cut short or damaged: a tensor's bytes are missing")
        places[storage.key] = begin
    return places


def _bytes(storage: Storage) -> int:
    return storage.count * BITS[storage.dtype] // 8


def _read(stream: IO[bytes], size: int) -> bytes:
    parts, missing = [], size
    while missing:
        part = stream.read(missing)
        if not part:
            break
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _tidied(content: Any, places: Mapping[str, int], size: int) -> dict[Any, Any]:
    if not isinstance(content, dict):
        raise Refused("holds no state dict")
    return dict(_Tidy(places, size).value(content))


class _Tidy:
    """Turns the machine's values into plain ones, with every tensor's place checked."""

    def __init__(self, places: Mapping[str, int], size: int) -> None:
        self._places = places
        self._room = MAX_SHARING * size
        self._nodes = 0
        self._tensors = 0

    def value(self, given: Any, depth: int = 0) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise Refused("holds too many values")
        if depth > MAX_DEPTH:
            raise Refused("is nested too deeply")
        if isinstance(given, View):
            return self._tensor(given)
        if isinstance(given, Inert):
            return None
        if isinstance(given, dict):
            return {key: self.value(item, depth + 1) for key, item in given.items()}
        if isinstance(given, (str, bytes, int, float)) or given is None:
            return given
        if type(given) in (list, tuple):
            return [self.value(item, depth + 1) for item in given]
        return None

    def _tensor(self, view: View) -> Tensor:
        self._tensors += 1
        if self._tensors > MAX_TENSORS:
            raise Refused("holds too many tensors")
        count, width = math.prod(view.shape), BITS[view.dtype] // 8
        if view.dtype != view.storage.dtype and view.storage.dtype != "U8":
            raise Refused("has a tensor of another number format than its storage")
        held = _bytes(view.storage) // width
        begin = self._places[view.storage.key] + view.offset * width
        if count == 0:
            start = self._places[view.storage.key]
            return Tensor(view.dtype, view.shape, start, start)
        steps = zip(view.shape, view.strides, strict=True)
        last = view.offset + sum((length - 1) * step for length, step in steps)
        if last >= held or count > held:
            raise Refused("has a tensor that claims more numbers than it has")
        self._room -= count * width
        if self._room < 0:
            raise Refused("has tensors that claim many times its size")
        if _in_order(view):
            return Tensor(view.dtype, view.shape, begin, begin + count * width)
        end = self._places[view.storage.key] + (last + 1) * width
        return Tensor(view.dtype, view.shape, begin, end, view.strides)


def _in_order(view: View) -> bool:
    """Whether the numbers follow each other as in a fresh tensor."""
    expected = 1
    for length, step in zip(reversed(view.shape), reversed(view.strides), strict=True):
        if length != 1 and step != expected:
            return False
        expected *= length
    return True
