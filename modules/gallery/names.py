"""File names that every file system takes."""

from __future__ import annotations

import re

MAX_PART = 128
"""Characters of one token's text."""
MAX_NAME_BYTES = 240
"""Bytes of a whole name; file systems take 255, the rest is for endings and temporary names."""

_FORBIDDEN = re.compile(r'[#<>:"/\\|?*\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]')
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{name}{number}" for name in ("com", "lpt") for number in range(10)}
)


def sanitize_part(text: str, *, replace_spaces: bool = True) -> str:
    """Text of a token without the signs that names cannot hold, at most MAX_PART characters."""
    if replace_spaces:
        text = text.replace(" ", "_")
    text = _FORBIDDEN.sub("_", text).lstrip(" ")[:MAX_PART]
    return text.rstrip(" .")


def sanitize_name(text: str, max_bytes: int = MAX_NAME_BYTES) -> str:
    """A whole name (without its ending) that is allowed on Linux, macOS and Windows; may be ""."""
    name = cut_bytes(_FORBIDDEN.sub("_", text).lstrip(" "), max_bytes).rstrip(" .")
    if name.split(".")[0].strip().lower() in _RESERVED:
        return "_" + name
    return name


def cut_bytes(text: str, max_bytes: int) -> str:
    """The longest beginning of `text` that fits into `max_bytes` of UTF-8."""
    data = text.encode("utf-8", "replace")
    return text if len(data) <= max_bytes else data[:max_bytes].decode("utf-8", "ignore")
