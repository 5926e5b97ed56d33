"""A request in the making, and reading single values of an infotext into it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_SIZE = re.compile(r"(\d{1,6})\s*[xX]\s*(\d{1,6})")


@dataclass
class Draft:
    """Fields and settings found so far, the keys that were read, and remarks."""

    fields: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


def whole(text: str) -> int:
    """A whole number, also written as 7.0; raises ValueError."""
    value = float(text)
    if not abs(value) < 2**63:
        raise ValueError(text)
    return int(text) if re.fullmatch(r"[+-]?\d{1,19}", text.strip()) else int(value)


def number(text: str) -> float:
    """A finite number; raises ValueError."""
    value = float(text)
    if value - value != 0:
        raise ValueError(text)
    return value


def take(
    values: Mapping[str, str], key: str, name: str, reader: Callable[[str], Any], draft: Draft
) -> None:
    """Read one value into a field; one that cannot be read becomes a remark."""
    if key not in values:
        return
    draft.used.add(key)
    try:
        draft.fields[name] = reader(values[key])
    except (ValueError, OverflowError):
        draft.notes.append(f"{key}: {values[key][:60]!r} is not a number and was left out.")


def size_of(values: Mapping[str, str], key: str, draft: Draft) -> tuple[int, int] | None:
    """A value such as 512x768 as two numbers."""
    if key not in values:
        return None
    draft.used.add(key)
    match = _SIZE.fullmatch(values[key].strip())
    if match is None:
        draft.notes.append(f"{key}: {values[key][:60]!r} is not a size such as 512x768.")
        return None
    return int(match.group(1)), int(match.group(2))
