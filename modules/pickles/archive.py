"""The entries of a zip archive as torch writes one: all stored, none overlapping, few bytes read.

Python's `zipfile` reads a central directory of any length into memory and follows what it says; a
file from outside gets a reader that looks at sizes first.
"""

from __future__ import annotations

import os
import struct
from typing import IO, NamedTuple

from modules.pickles.values import Refused, shown

MAX_ENTRIES = 100_000
MAX_DIRECTORY = 16 * 1024 * 1024
MAX_NAME = 512

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_BIG, _HUGE = 0xFFFF, 0xFFFFFFFF


class Entry(NamedTuple):
    """One file of the archive; its bytes lie at `begin` … `end` of the archive's own."""

    name: str
    begin: int
    end: int

    @property
    def size(self) -> int:
        """In bytes."""
        return self.end - self.begin


class _Record(NamedTuple):
    name: str
    raw_name: bytes
    size: int
    header: int


def read_entries(stream: IO[bytes]) -> dict[str, Entry]:
    """All entries by name.

    Raises:
        Refused: the archive is damaged, compressed, encrypted, or its entries overlap.
    """
    total = os.fstat(stream.fileno()).st_size
    count, size, begin = _directory(stream, total)
    if count > MAX_ENTRIES or size > MAX_DIRECTORY:
        raise Refused("has too many entries")
    records = _records(_read(stream, begin, size), count)
    entries: dict[str, Entry] = {}
    for record in records:
        if record.name in entries:
            raise Refused(f"has the entry {shown(record.name)!r} twice")
        entries[record.name] = _placed(stream, record, begin)
    _refuse_overlaps(entries)
    return entries


def _directory(stream: IO[bytes], total: int) -> tuple[int, int, int]:
    """Number of entries, length and place of the central directory."""
    tail_size = min(total, _END.size + _BIG)
    tail = _read(stream, total - tail_size, tail_size)
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < _END.size:
        raise Refused("is a zip archive that is cut short")
    end = total - tail_size + place
    _, disk, first, _, count, size, begin, _ = _END.unpack_from(tail, place)
    if disk or first:
        raise Refused("is a zip archive in several parts")
    if count == _BIG or _HUGE in (size, begin):
        count, size, begin, end = _directory_64(stream, end)
    if begin + size > end:
        raise Refused("is a damaged zip archive: its directory is not where it should be")
    return count, size, begin


def _directory_64(stream: IO[bytes], end: int) -> tuple[int, int, int, int]:
    if end < _LOCATOR_64.size:
        raise Refused("is a damaged zip archive")
    signature, _, place, _ = _LOCATOR_64.unpack(
        _read(stream, end - _LOCATOR_64.size, _LOCATOR_64.size)
    )
    if signature != b"PK\x06\x07" or place + _END_64.size > end:
        raise Refused("is a damaged zip archive")
    found = _END_64.unpack(_read(stream, place, _END_64.size))
    if found[0] != b"PK\x06\x06":
        raise Refused("is a damaged zip archive")
    return found[7], found[8], found[9], place


def _records(raw: bytes, count: int) -> list[_Record]:
    records = []
    at = 0
    for _ in range(count):
        if at + _CENTRAL.size > len(raw):
            raise Refused("is a damaged zip archive: its directory is cut short")
        fields = _CENTRAL.unpack_from(raw, at)
        if fields[0] != b"PK\x01\x02":
            raise Refused("is a damaged zip archive: its directory is not sound")
        name_size, extra_size, comment_size = fields[10:13]
        begin = at + _CENTRAL.size
        raw_name = raw[begin : begin + name_size]
        extra = raw[begin + name_size : begin + name_size + extra_size]
        at = begin + name_size + extra_size + comment_size
        if at > len(raw) or name_size > MAX_NAME:
            raise Refused("is a damaged zip archive: its directory is cut short")
        records.append(_record(fields, raw_name, extra))
    return records


def _record(fields: tuple[int, ...], raw_name: bytes, extra: bytes) -> _Record:
    name = raw_name.decode("utf-8", "replace")
    flags, method = fields[3], fields[4]
    if flags & 0x2041:  # bits 0, 6 and 13
        raise Refused("has encrypted entries")
    if method != 0:
        raise Refused("has compressed entries, which torch never writes")
    packed, size, header = fields[8], fields[9], fields[16]
    if _HUGE in (packed, size, header):
        packed, size, header = _sizes_64(extra, packed, size, header)
    if packed != size:
        raise Refused("has compressed entries, which torch never writes")
    return _Record(name, raw_name, size, header)


def _sizes_64(extra: bytes, packed: int, size: int, header: int) -> tuple[int, int, int]:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        at += 4
        if kind == 1:
            values = [
                int.from_bytes(extra[place : place + 8], "little")
                for place in range(at, min(at + length, len(extra)) - 7, 8)
            ]
            # Only those that did not fit above are there, in this order.
            given = iter(values)
            size = next(given, -1) if size == _HUGE else size
            packed = next(given, -1) if packed == _HUGE else packed
            header = next(given, -1) if header == _HUGE else header
            break
        at += length
    if -1 in (packed, size, header):
        raise Refused("is a damaged zip archive: a size is missing")
    return packed, size, header


def _placed(stream: IO[bytes], record: _Record, limit: int) -> Entry:
    """Where an entry's bytes lie, from the header before them; all of it before `limit`."""
    if record.header + _LOCAL.size > limit:
        raise Refused("is a damaged zip archive: an entry lies outside")
    fields = _LOCAL.unpack(_read(stream, record.header, _LOCAL.size))
    if fields[0] != b"PK\x03\x04" or fields[3] != 0 or fields[9] != len(record.raw_name):
        raise Refused("is a damaged zip archive: its directory contradicts its entries")
    begin = record.header + _LOCAL.size + fields[9] + fields[10]
    if begin + record.size > limit:
        raise Refused(f"is cut short: the entry {shown(record.name)!r} is not all there")
    return Entry(record.name, begin, begin + record.size)


def _refuse_overlaps(entries: dict[str, Entry]) -> None:
    end = 0
    for entry in sorted(entries.values(), key=lambda entry: (entry.begin, entry.end)):
        if entry.begin < end:
            raise Refused("has entries that overlap")
        end = max(end, entry.end)


def _read(stream: IO[bytes], begin: int, size: int) -> bytes:
    if begin < 0:
        raise Refused("is a damaged zip archive")
    stream.seek(begin)
    parts, missing = [], size
    while missing:
        part = stream.read(missing)
        if not part:
            raise Refused("ended early")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def read_entry(stream: IO[bytes], entry: Entry, limit: int) -> bytes:
    """The bytes of a small entry.

    Raises:
        Refused: it has more than `limit` bytes.
    """
    if entry.size > limit:
        raise Refused(f"is odd: its entry {shown(entry.name)!r} is too long")
    return _read(stream, entry.begin, entry.size)
