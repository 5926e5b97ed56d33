"""JPEG: the segments that a decoder needs; what follows the picture's end goes too."""

from __future__ import annotations

import re
import struct

from modules.gallery.stripping.orientation import PREFIX, only_orientation

START, END, SCAN = 0xD8, 0xD9, 0xDA
APP0, APP1, APP2, APP14, COMMENT = 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
_NEXT = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""In the data of a scan: a marker that is neither a stuffed 0xFF nor a restart."""


def stripped_jpeg(data: bytes) -> bytes:
    """
    Raises:
        ValueError: it ends before its end, or holds what no JPEG does.
    """
    head, parts, turn, position = [], [], b"", 2
    while True:
        while data[position : position + 2] == b"\xff\xff":
            position += 1  # fill bytes
        if position + 2 > len(data) or data[position] != 0xFF:
            raise ValueError("no marker")
        marker = data[position + 1]
        if marker == END:
            break
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        end = position + 2 + length
        if length < 2 or end > len(data):
            raise ValueError("a segment is not whole")
        segment, body = data[position:end], data[position + 4 : end]
        position = end
        if marker == SCAN:
            found = _NEXT.search(data, end)
            if found is None:
                raise ValueError("no end")
            position = found.start()
            parts.append(segment + data[end:position])
        elif marker == APP0 and body.startswith(b"JFIF\0") and not head:
            head.append(_jfif(body))
        elif marker == APP1 and body.startswith(PREFIX):
            turn = turn or only_orientation(body)
        elif _shows(marker, body):
            parts.append(segment)
    return b"".join([b"\xff\xd8", *head, _exif(turn), *parts, b"\xff\xd9"])


def _shows(marker: int, body: bytes) -> bool:
    """Whether a segment is needed to show the picture as it is meant."""
    if marker == APP2:
        return body.startswith(b"ICC_PROFILE\0")
    if marker == APP14:
        return body.startswith(b"Adobe")
    return not (APP0 <= marker <= 0xEF or marker == COMMENT)


def _jfif(body: bytes) -> bytes:
    """The head without its small copy of the picture."""
    return b"\xff\xe0" + struct.pack(">H", 16) + body[:12].ljust(12, b"\0") + b"\0\0"


def _exif(body: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body if body else b""
