"""The values of an axis as people type them: lists, ranges, counted ranges.

``1, 2, 3`` is a list; values with commas are quoted as in CSV. Numbers may be ranges: ``1-5``,
``1-10 (+3)`` with a step, ``1-10 [4]`` with so many values from end to end. A1111's syntax.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from itertools import permutations

from modules.requests.errors import RequestError, shorten

MOST_VALUES = 1000
"""Of one axis."""

_WHOLE = r"[+-]?\s*\d+"
_NUMBER = r"[+-]?\s*(?:\d+(?:\.\d*)?|\.\d+)"
_TAIL = r"(?:\(\s*(?P<step>{number})\s*\)|\[\s*(?P<count>\d+)\s*\])?"


def _range_pattern(number: str) -> re.Pattern[str]:
    tail = _TAIL.format(number=number)
    return re.compile(rf"\s*(?P<first>{number})\s*-\s*(?P<last>{number})\s*{tail}\s*")


_WHOLE_RANGE = _range_pattern(_WHOLE)
_NUMBER_RANGE = _range_pattern(_NUMBER)


def split(text: str) -> list[str]:
    """The parts of a list, stripped; empty ones are left out."""
    rows = csv.reader(io.StringIO(text.replace("\x00", "")), skipinitialspace=True)
    try:
        parts = [part.strip() for row in rows for part in row]
    except csv.Error as error:
        raise RequestError("script_args", shorten(text), f"The values: {error}.") from None
    return _bounded([part for part in parts if part], text)


def whole_numbers(text: str) -> list[int]:
    """Whole numbers and ranges of them.

    Raises:
        RequestError: a part is neither, or there are too many.
    """
    return [round(value) for value in _read(text, _WHOLE_RANGE, int)]


def numbers(text: str) -> list[float]:
    """Numbers and ranges of them.

    Raises:
        RequestError: a part is neither, or there are too many.
    """
    return [round(value, 10) for value in _read(text, _NUMBER_RANGE, float)]


def orders(text: str) -> list[tuple[str, ...]]:
    """All orders in which the parts can stand.

    Raises:
        RequestError: too many.
    """
    parts = split(text)
    if len(parts) > 6:  # 7 parts have 5040 orders
        raise _too_many(text)
    return list(permutations(parts))


def _read(text: str, ranges: re.Pattern[str], kind: Callable[[str], float]) -> list[float]:
    """Each part as a number or as a range of them."""
    found: list[float] = []
    for part in split(text):
        span = ranges.fullmatch(part)
        if span is None:
            found.append(_number(part, kind))
        else:
            found += _spread(span, 1, text, whole=kind is int)
        _bounded(found, text)
    return found


def _spread(
    span: re.Match[str], usual_step: float, text: str, *, whole: bool = False
) -> list[float]:
    first, last = (float(span[name].replace(" ", "")) for name in ("first", "last"))
    if span["count"] is not None:
        return _evenly(first, last, int(span["count"]), text, whole)
    step = abs(float(span["step"].replace(" ", ""))) if span["step"] else usual_step
    if step == 0:
        raise RequestError("script_args", shorten(text), "The step of a range cannot be 0.")
    count = int(abs(last - first) / step + 1e-9) + 1
    if count > MOST_VALUES:
        raise _too_many(text)
    direction = step if last >= first else -step
    return [first + number * direction for number in range(count)]


def _evenly(first: float, last: float, count: int, text: str, whole: bool) -> list[float]:
    """``count`` values from end to end; whole ones are cut off as A1111 does."""
    if count > MOST_VALUES:
        raise _too_many(text)
    if count < 2:
        return [first] * count
    values = [first + (last - first) * number / (count - 1) for number in range(count)]
    return [float(int(value)) for value in values] if whole else values


def _number(part: str, kind: Callable[[str], float]) -> float:
    try:
        value = kind(part.replace(" ", ""))
    except (ValueError, OverflowError):
        value = float("nan")
    if value != value or value in (float("inf"), float("-inf")):
        raise RequestError(
            "script_args",
            shorten(part),
            f"{shorten(part)!r} is no {'whole number' if kind is int else 'number'}; "
            "allowed: 3, a range 1-5, 1-10 (+2) with a step, 1-10 [4] with so many values.",
        )
    return value


def _bounded(values: list, text: str) -> list:
    if len(values) > MOST_VALUES:
        raise _too_many(text)
    return values


def _too_many(text: str) -> RequestError:
    return RequestError(
        "script_args", shorten(text), f"Too many values; allowed: {MOST_VALUES} on one axis."
    )
