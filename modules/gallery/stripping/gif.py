"""GIF: the frames and how they follow each other; no comments, no other program's data."""

from __future__ import annotations

EXTENSION, IMAGE, TRAILER = 0x21, 0x2C, 0x3B
CONTROL, APPLICATION = 0xF9, 0xFF
LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
"""Applications that say how often the frames are repeated."""


def stripped_gif(data: bytes) -> bytes:
    """
    Raises:
        ValueError, IndexError: it ends before its end, or holds what no GIF does.
    """
    position = 13 + _table(data[10])
    parts = [data[:position]]
    while True:
        kind, begin = data[position], position
        if kind == TRAILER:
            return b"".join([*parts, b";"])
        if kind == IMAGE:
            position = _after_blocks(data, position + 10 + _table(data[position + 9]) + 1)
            parts.append(data[begin:position])
        elif kind == EXTENSION:
            label = data[position + 1]
            position = _after_blocks(data, position + 2)
            loops = label == APPLICATION and data[begin + 3 : begin + 14] in LOOPS
            if label == CONTROL or loops:
                parts.append(data[begin:position])
        else:
            raise ValueError("no block of a GIF")


def _table(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(data: bytes, position: int) -> int:
    """Behind a chain of blocks, each of which says its length; 0 ends them."""
    while data[position]:
        position += data[position] + 1
    return position + 1
