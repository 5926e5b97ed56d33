"""A1111's ``cache``: small things kept in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

_caches: dict[str, dict[str, Any]] = {}


def cache(subsection: str) -> dict[str, Any]:
    """A dictionary by name."""
    return _caches.setdefault(subsection, {})


def dump_cache() -> None:
    """It lives in memory."""


def cached_data_for_file(
    subsection: str, title: str, filename: str, func: Callable[[], Any]
) -> Any:
    """What ``func`` gave for a file, until the file changes."""
    known = cache(subsection)
    changed = os.path.getmtime(filename)
    entry = known.get(title)
    if entry is None or entry["mtime"] < changed:
        value = func()
        if value is None:
            return None
        entry = known[title] = {"mtime": changed, "value": value}
    return entry["value"]
