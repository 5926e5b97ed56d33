"""WebP: the chunks of the picture, its transparency, animation and colours."""

from __future__ import annotations

import struct

from modules.gallery.stripping.orientation import PREFIX, only_orientation

KEPT = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"))
EXIF_FLAG, XMP_FLAG = 0x08, 0x04


def stripped_webp(data: bytes) -> bytes:
    """
    Raises:
        ValueError: it ends before its end.
    """
    size = 8 + int.from_bytes(data[4:8], "little")
    if size > len(data):
        raise ValueError("the file is not whole")
    chunks, turn, position = [], b"", 12
    while position + 8 <= size:
        kind, length = data[position : position + 4], data[position + 4 : position + 8]
        end = position + 8 + int.from_bytes(length, "little")
        if end > size:
            raise ValueError("a chunk is not whole")
        body = data[position + 8 : end]
        if kind in KEPT:
            chunks.append((kind, body))
        elif kind == b"EXIF":
            turn = only_orientation(body)
        position = end + (end & 1)
    if not chunks:
        raise ValueError("no picture")
    return _written(_flagged(chunks, bool(turn)), turn)


def _flagged(chunks: list[tuple[bytes, bytes]], turned: bool) -> list[tuple[bytes, bytes]]:
    """The head says that there is no EXIF and no XMP any more, or only the turn."""
    kind, body = chunks[0]
    if kind != b"VP8X":
        return chunks
    flags = body[0] & ~(EXIF_FLAG | XMP_FLAG) | (EXIF_FLAG if turned else 0)
    return [(kind, bytes([flags]) + body[1:]), *chunks[1:]]


def _written(chunks: list[tuple[bytes, bytes]], turn: bytes) -> bytes:
    if turn and chunks[0][0] == b"VP8X":
        chunks = [*chunks, (b"EXIF", turn.removeprefix(PREFIX))]
    whole = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)
        for kind, body in chunks
    )
    return b"RIFF" + struct.pack("<I", len(whole)) + whole
