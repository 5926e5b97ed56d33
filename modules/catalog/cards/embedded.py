"""Preview pictures that trainers put into a safetensors file's metadata."""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path

from modules.catalog.errors import ModelFileError
from modules.catalog.header import safetensors_header

MAX_BYTES = 8 * 1024 * 1024
"""Of one picture, as text."""


def embedded_picture(path: Path, index: int = 0) -> bytes | None:
    """The bytes of a file's own preview; None when there is none. They may be anything at all.

    `ssmd_cover_images` holds a JSON list of base64 pictures, `modelspec.thumbnail` a data address.
    """
    try:
        metadata = safetensors_header(path).metadata
    except ModelFileError:
        return None
    covers = _covers(metadata.get("ssmd_cover_images", ""))
    if 0 <= index < len(covers):
        return _decoded(covers[index])
    thumbnail = metadata.get("modelspec.thumbnail", "")
    if index == 0 and thumbnail.startswith("data:image/"):
        return _decoded(thumbnail.partition(",")[2])
    return None


def _covers(text: str) -> list[str]:
    if not text or len(text) > 4 * MAX_BYTES:
        return []
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return [entry for entry in listed if isinstance(entry, str)] if isinstance(listed, list) else []


def _decoded(text: str) -> bytes | None:
    if not text or len(text) > MAX_BYTES:
        return None
    try:
        return base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError):
        return None
