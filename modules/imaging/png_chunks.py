"""The text chunks of a PNG file, read without decoding a pixel and with hard limits."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_TEXT = 16 * 1024 * 1024
"""Bytes of all text chunks together, unpacked."""
MAX_CHUNKS = 100_000

_TEXT = (b"tEXt", b"zTXt", b"iTXt")


def read_png_text(data: bytes) -> dict[str, str]:
    """Keyword and text of every text chunk; damaged ones and what exceeds the limit are left out.

    The first chunk of a keyword wins.
    """
    found: dict[str, str] = {}
    left = MAX_TEXT
    for kind, body in _chunks(data):
        if kind not in _TEXT:
            continue
        keyword, text = _READERS[kind](body, left)
        if keyword and text is not None and len(text) <= left:
            left -= len(text)
            encoding = "utf-8" if kind == b"iTXt" else "latin-1"
            found.setdefault(keyword, text.decode(encoding, "replace"))
    return found


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if position + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end > len(data) or kind == b"IEND":
            return
        yield kind, data[position + 8 : end] if kind in _TEXT else b""
        position = end + 4


def _read_plain(body: bytes, _limit: int) -> tuple[str, bytes | None]:
    keyword, separator, text = body.partition(b"\0")
    return keyword.decode("latin-1"), text if separator else None


def _read_packed(body: bytes, limit: int) -> tuple[str, bytes | None]:
    keyword, separator, rest = body.partition(b"\0")
    if not separator or rest[:1] != b"\0":
        return "", None
    return keyword.decode("latin-1"), _unpack(rest[1:], limit)


def _read_international(body: bytes, limit: int) -> tuple[str, bytes | None]:
    keyword, separator, rest = body.partition(b"\0")
    if not separator or len(rest) < 2:
        return "", None
    packed, method, rest = rest[0], rest[1], rest[2:]
    parts = rest.split(b"\0", 2)
    if len(parts) < 3 or (packed and method):
        return "", None
    text = _unpack(parts[2], limit) if packed else parts[2]
    return keyword.decode("latin-1"), text


def _unpack(data: bytes, limit: int) -> bytes | None:
    """Unpack at most `limit` bytes; None when there are more, or the data is damaged."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, limit + 1)
    except zlib.error:
        return None
    return text if len(text) <= limit and unpacker.eof else None


_READERS = {b"tEXt": _read_plain, b"zTXt": _read_packed, b"iTXt": _read_international}
