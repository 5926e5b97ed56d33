"""`A AND B:0.5`: several prompts at once, each with a weight."""

from __future__ import annotations

import re
from dataclasses import dataclass

from modules.prompts.attention import limit_weight
from modules.prompts.notices import PromptWarning, WarningList

MAX_PARTS = 64

_AND = re.compile(r"\bAND\b")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)")


@dataclass(frozen=True)
class Part:
    """One side of an AND: `text` begins at `start` of the whole prompt."""

    text: str
    weight: float
    start: int


def split_and(text: str) -> tuple[list[Part], list[PromptWarning]]:
    """Split at the upper-case word AND and read each part's final `:weight`.

    A text without AND is one part of weight 1 with nothing taken off its end.
    """
    words = list(_AND.finditer(text))
    warnings = WarningList()
    if not words:
        _, number, place = _final_weight(text)
        if number is not None:
            warnings.add("weight_without_and", *place, weight=":" + number[:20])
        return [Part(text, 1.0, 0)], warnings
    if len(words) >= MAX_PARTS:
        place = (words[MAX_PARTS - 1].start(), words[MAX_PARTS - 1].end())
        warnings.add("too_many_parts", *place, limit=MAX_PARTS)
        words = words[: MAX_PARTS - 1]
    depth = _DepthReader(text)
    parts: list[Part] = []
    start = 0
    for word in words:
        if depth.at(word.start()) > 0:
            warnings.add("and_in_brackets", word.start(), word.end())
        parts.append(_part(text[start : word.start()], start, warnings))
        start = word.end()
    parts.append(_part(text[start:], start, warnings))
    return parts, warnings


def _part(text: str, start: int, warnings: WarningList) -> Part:
    body, number, place = _final_weight(text)
    if number is None:
        return Part(text.rstrip(), 1.0, start)
    value = float(number)
    if limit_weight(value) != value:
        value = limit_weight(value)
        span = (start + place[0], start + place[1])
        warnings.add("weight_limited", *span, number=number[:20], value=f"{value:g}")
    return Part(body, value, start)


def _final_weight(text: str) -> tuple[str, str | None, tuple[int, int]]:
    """The text before a final `: number`, the number as typed, and where the two stand."""
    stripped = text.rstrip()
    colon = stripped.rfind(":")
    if colon < 0:
        return stripped, None, (0, 0)
    number = stripped[colon + 1 :].lstrip()
    if not _NUMBER.fullmatch(number):
        return stripped, None, (0, 0)
    return stripped[:colon].rstrip(), number, (colon, len(stripped))


class _DepthReader:
    """Bracket depth at ascending positions, in one walk over the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0

    def at(self, position: int) -> int:
        while self.position < position:
            character = self.text[self.position]
            if character == "\\":
                self.position += 1
            elif character in "([":
                self.depth += 1
            elif character in ")]" and self.depth:
                self.depth -= 1
            self.position += 1
        return self.depth
