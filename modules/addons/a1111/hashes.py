"""A1111's ``hashes``."""

from __future__ import annotations

import hashlib
import os
from typing import Any

blksize = 1024 * 1024
_known: dict[tuple[str, float, int], str] = {}


def calculate_sha256(filename: str) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(filename, "rb") as file:
        for chunk in iter(lambda: file.read(blksize), b""):
            digest.update(chunk)
    return digest.hexdigest()


def sha256(filename: str, title: str, use_addnet_hash: bool = False) -> str | None:
    """The same, kept while the file stays as it is."""
    try:
        stat = os.stat(filename)
    except OSError:
        return None
    key = (filename, stat.st_mtime, stat.st_size)
    if key not in _known:
        _known[key] = calculate_sha256(filename)
    return _known[key]


def sha256_from_cache(filename: str, title: str, use_addnet_hash: bool = False) -> str | None:
    """The same if it is known."""
    try:
        stat = os.stat(filename)
    except OSError:
        return None
    return _known.get((filename, stat.st_mtime, stat.st_size))


def cache(subsection: str) -> dict[str, Any]:
    """A1111's file of hashes; empty here."""
    return {}


def addnet_hash_safetensors(b: Any) -> str:
    """SHA-256 of a safetensors file behind its header."""
    digest = hashlib.sha256()
    b.seek(0)
    header = b.read(8)
    b.seek(int.from_bytes(header, "little") + 8)
    for chunk in iter(lambda: b.read(blksize), b""):
        digest.update(chunk)
    return digest.hexdigest()
