"""The one thing in EXIF that a picture cannot be shown without: how it is turned."""

from __future__ import annotations

from PIL import Image

ORIENTATION = 0x0112
PREFIX = b"Exif\0\0"


def only_orientation(exif: bytes) -> bytes:
    """An EXIF block with nothing but the turn, with its prefix; nothing for upright pictures."""
    block = Image.Exif()
    try:
        block.load(exif)
        turn = int(block.get(ORIENTATION, 1))
    except Exception:  # hostile EXIF makes Pillow's reader raise nearly anything
        return b""
    if not 2 <= turn <= 8:
        return b""
    kept = Image.Exif()
    kept[ORIENTATION] = turn
    return PREFIX + kept.tobytes().removeprefix(PREFIX)
