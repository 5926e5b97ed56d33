"""PNG: the chunks that say how the picture looks, and none else."""

from __future__ import annotations

import struct
import zlib

from modules.gallery.stripping.orientation import PREFIX, only_orientation
from modules.imaging.png_chunks import SIGNATURE

KEPT = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD pHYs "
    b"acTL fcTL fdAT".split()
)


def stripped_png(data: bytes) -> bytes:
    """
    Raises:
        ValueError: it ends before its end, or does not begin as it should.
    """
    parts, position = [SIGNATURE], len(SIGNATURE)
    while True:
        if position + 12 > len(data):
            raise ValueError("no IEND")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data) or (len(parts) == 1 and kind != b"IHDR"):
            raise ValueError("a chunk is not whole")
        if kind in KEPT:
            parts.append(data[position:end])
        elif kind == b"eXIf":
            parts.append(_turn(data[position + 8 : end - 4]))
        if kind == b"IEND":
            return b"".join(parts)
        position = end


def _turn(exif: bytes) -> bytes:
    body = only_orientation(exif).removeprefix(PREFIX)
    if not body:
        return b""
    checked = b"eXIf" + body
    return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))
