"""EXIF UserComment: where JPEG, WebP and AVIF files carry the infotext."""

from __future__ import annotations

import warnings

from PIL import Image

EXIF_IFD = 0x8769
USER_COMMENT = 0x9286
MAKE, MODEL, DESCRIPTION, SOFTWARE = 0x010F, 0x0110, 0x010E, 0x0131

# Strangers' files make Pillow warn about every damaged tag and large size; we have our own limits.
warnings.filterwarnings("ignore", module=r"PIL\.")

_UNICODE = b"UNICODE\0"
_MARKS = (_UNICODE, b"ASCII\0\0\0", b"JIS\0\0\0\0\0", b"\0" * 8)


def exif_with_comment(text: str) -> bytes:
    """An EXIF block with `text` as UserComment, marked UNICODE, in UTF-16 big endian."""
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = _UNICODE + text.encode("utf-16-be", "replace")
    return exif.tobytes()


def read_exif(data: bytes) -> dict[str, str]:
    """The texts of an EXIF block that programs put descriptions into; never raises.

    Keys: `UserComment`, `ImageDescription`, `Software`, `Make`, `Model`.
    """
    exif = Image.Exif()
    try:
        exif.load(data)
        comment = exif.get_ifd(EXIF_IFD).get(USER_COMMENT)
    except Exception:  # hostile EXIF makes Pillow's reader raise nearly anything
        return {}
    found: dict[str, str] = {}
    if isinstance(comment, (bytes, str)):
        found["UserComment"] = comment if isinstance(comment, str) else decode_comment(comment)
    tags = {DESCRIPTION: "ImageDescription", SOFTWARE: "Software", MAKE: "Make", MODEL: "Model"}
    for tag, name in tags.items():
        try:
            value = exif.get(tag)
        except Exception:  # see above
            continue
        if isinstance(value, str):
            found[name] = value
    return {key: value.strip("\0 ") for key, value in found.items() if value.strip("\0 ")}


def decode_comment(data: bytes) -> str:
    """The text of a UserComment, whatever byte order or encoding the writer chose."""
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    body = data[len(mark) :]
    if mark != _UNICODE or b"\0" not in body:
        return body.decode("utf-8", "replace")
    if body.startswith(b"\xff\xfe"):
        return body[2:].decode("utf-16-le", "replace")
    if body.startswith(b"\xfe\xff"):
        return body[2:].decode("utf-16-be", "replace")
    big_endian = body[0::2].count(0) >= body[1::2].count(0)
    return body.decode("utf-16-be" if big_endian else "utf-16-le", "replace")
