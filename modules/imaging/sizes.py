"""Format and size of a picture file from its first bytes, without any decoder."""

from __future__ import annotations

import struct

AVIF_HEADER = 64 * 1024
"""Bytes in which an AVIF file's properties are looked for."""
MAX_SEGMENTS = 4096
"""JPEG segments that are looked at before the frame header."""
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})


def format_of(data: bytes) -> str:
    """PNG, JPEG, GIF, WEBP or AVIF by content; empty for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis", b"mif1", b"msf1"):
        return "AVIF"
    return ""


def claimed_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels as the file's header tells them, before EXIF turns it.

    None where the header is damaged. For AVIF it is the largest size that any part claims.
    """
    readers = {"PNG": _png, "JPEG": _jpeg, "GIF": _gif, "WEBP": _webp, "AVIF": _avif}
    reader = readers.get(format_of(data))
    try:
        return reader(data) if reader else None
    except (struct.error, IndexError):
        return None


def _png(data: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack_from(">II", data, 16)
    return (width, height) if data[8:16] == b"\0\0\0\rIHDR" else None


def _gif(data: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack_from("<HH", data, 6)
    table = 3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0
    return (width, height) if data[13 + table] in b"!,;" else None


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    position = 2
    for _ in range(MAX_SEGMENTS):
        while data[position] != 0xFF:
            position += 1
        while data[position] == 0xFF:
            position += 1
        marker = data[position]
        position += 1
        if marker in _STANDALONE:
            continue
        if marker in _FRAME_HEADERS:
            length, _, height, width, parts = struct.unpack_from(">HBHHB", data, position)
            return (width, height) if length == 8 + 3 * parts else None
        if marker in (0xD9, 0xDA):
            return None
        position += struct.unpack_from(">H", data, position)[0]
    return None


def _avif(data: bytes) -> tuple[int, int] | None:
    """Of the boxes ``ispe`` (image spatial extents, ISO/IEC 23008-12): flags, width, height."""
    found, place = [], data.find(b"ispe", 0, AVIF_HEADER)
    while place >= 0:
        found.append(struct.unpack_from(">II", data, place + 8))
        place = data.find(b"ispe", place + 4, AVIF_HEADER)
    return max(found, key=lambda size: size[0] * size[1]) if found else None
