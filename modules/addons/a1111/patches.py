"""A1111's ``patches``: replacing a function, and putting it back."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

originals: dict[Any, dict[Any, Any]] = defaultdict(dict)


def patch(key: Any, obj: Any, field: str, replacement: Any) -> Any:
    """Replace ``obj.field``; returns what was there.

    Raises:
        RuntimeError: it is replaced already.
    """
    if (obj, field) in originals[key]:
        raise RuntimeError(f"patch for {field} is already applied")
    original = getattr(obj, field)
    originals[key][obj, field] = original
    setattr(obj, field, replacement)
    return original


def undo(key: Any, obj: Any, field: str) -> None:
    """Put it back.

    Raises:
        RuntimeError: it was not replaced.
    """
    if (obj, field) not in originals[key]:
        raise RuntimeError(f"there is no patch for {field} to undo")
    setattr(obj, field, originals[key].pop((obj, field)))


def original(key: Any, obj: Any, field: str) -> Any:
    """What was there, or None."""
    return originals[key].get((obj, field))
