"""Attention brackets: `(a)` is 1.1, `[a]` is 1/1.1, `(a:1.5)` is 1.5, escapes, and `BREAK`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from modules.prompts.notices import PromptWarning, WarningList

ROUND_FACTOR = 1.1
SQUARE_FACTOR = 1 / 1.1
MAX_DEPTH = 100
MAX_WEIGHT = 1e4
"""Weights beyond this are limited: they would only overflow to infinity in the engine."""

_TOKEN = re.compile(r"\\[()\[\]\\]|[\\()\[\]:]|[^\\()\[\]:]+")
_WEIGHT = re.compile(r":\s*([+-]?[.\d]+)\s*\)")
_NUMBER_PREFIX = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)")


@dataclass(frozen=True)
class Segment:
    """A run of text with one weight, or (with `is_break`) the mark where a new chunk starts."""

    text: str
    weight: float = 1.0
    is_break: bool = False


BREAK = Segment("BREAK", 1.0, True)


@dataclass(frozen=True)
class AttentionScan:
    """Result of `scan_attention`; `work` counts the parser's elementary steps."""

    segments: tuple[Segment, ...]
    warnings: tuple[PromptWarning, ...]
    work: int


def parse_attention(text: str) -> tuple[Segment, ...]:
    """Split `text` into runs of equal weight and BREAK marks; never raises, never empty."""
    return scan_attention(text).segments


def scan_attention(text: str) -> AttentionScan:
    """Like `parse_attention`, with warnings whose positions are those of `text`."""
    scanner = _Scanner(text)
    scanner.run()
    return scanner.result()


def read_number(raw: str) -> tuple[float | None, bool]:
    """The value of a weight as typed, and whether it was well formed.

    "1..2" is read as 1.2, "1.2.3" as 1.2; None when there is no digit at all.
    """
    try:
        return float(raw), True
    except ValueError:
        match = _NUMBER_PREFIX.match(re.sub(r"\.+", ".", raw))
    return (float(match.group()), False) if match else (None, False)


def limit_weight(weight: float) -> float:
    """`weight` kept within ±MAX_WEIGHT."""
    return max(-MAX_WEIGHT, min(MAX_WEIGHT, weight))


@dataclass
class _Bracket:
    start: int
    round: bool
    factor: float


class _Scanner:
    """One pass over the tokens that records texts and bracket events, one that multiplies."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.events: list[str | Segment | tuple[bool, _Bracket]] = []
        self.open_round: list[_Bracket] = []
        self.open_square: list[_Bracket] = []
        self.skipped_round = 0
        self.skipped_square = 0
        self.warnings = WarningList()
        self.work = 0

    def run(self) -> None:
        text, position = self.text, 0
        while position < len(text):
            self.work += 1
            token = _TOKEN.match(text, position).group()  # type: ignore[union-attr]
            end = position + len(token)
            if token[0] == "\\":
                self.events.append(token[1:])
            elif token == "(":
                self._open(position, is_round=True)
            elif token == "[":
                self._open(position, is_round=False)
            elif token == ":":
                end = self._colon(position)
            elif token == ")":
                self._close_round(position, ROUND_FACTOR)
            elif token == "]":
                self._close_square(position)
            else:
                self._plain(token, position)
            position = end
        for bracket in (*self.open_round, *self.open_square):
            sign = "(" if bracket.round else "["
            self.warnings.add("unclosed_bracket", bracket.start, bracket.start + 1, bracket=sign)

    def _open(self, position: int, *, is_round: bool) -> None:
        if len(self.open_round) + len(self.open_square) >= MAX_DEPTH:
            if not (self.skipped_round or self.skipped_square):
                self.warnings.add("too_deep", position, position + 1, limit=MAX_DEPTH)
            if is_round:
                self.skipped_round += 1
            else:
                self.skipped_square += 1
            return
        factor = ROUND_FACTOR if is_round else SQUARE_FACTOR
        bracket = _Bracket(position, is_round, factor)
        (self.open_round if is_round else self.open_square).append(bracket)
        self.events.append((True, bracket))

    def _colon(self, position: int) -> int:
        match = _WEIGHT.match(self.text, position)
        if match is None or not (self.open_round or self.skipped_round):
            self.events.append(":")
            return position + 1
        raw = match.group(1)
        value, well_formed = read_number(raw)
        place = (match.start(1), match.end(1))
        if value is None:
            self.warnings.add("no_number", *place, number=raw[:20])
            self.events.append(self.text[position : match.end() - 1])
            self._close_round(match.end() - 1, ROUND_FACTOR)
            return match.end()
        if not well_formed:
            self.warnings.add("bad_number", *place, number=raw[:20], value=f"{value:g}")
        if limit_weight(value) != value:
            limited = limit_weight(value)
            self.warnings.add("weight_limited", *place, number=raw[:20], value=f"{limited:g}")
            value = limited
        self._close_round(match.end() - 1, value)
        return match.end()

    def _close_round(self, position: int, factor: float) -> None:
        if self.skipped_round:
            self.skipped_round -= 1
        elif self.open_round:
            bracket = self.open_round.pop()
            bracket.factor = factor
            self.events.append((False, bracket))
        else:
            self.warnings.add("stray_bracket", position, position + 1, bracket=")")
            self.events.append(")")

    def _close_square(self, position: int) -> None:
        if self.skipped_square:
            self.skipped_square -= 1
        elif self.open_square:
            self.events.append((False, self.open_square.pop()))
        else:
            self.warnings.add("stray_bracket", position, position + 1, bracket="]")
            self.events.append("]")

    def _plain(self, token: str, position: int) -> None:
        rest = 0
        for start in _find_breaks(token):
            self.work += 1
            self.events.append(token[rest:start].rstrip())
            self.events.append(BREAK)
            if self.open_round or self.open_square:
                place = (position + start, position + start + len("BREAK"))
                self.warnings.add("break_in_brackets", *place)
            rest = start + len("BREAK")
            while rest < len(token) and token[rest].isspace():
                rest += 1
        self.events.append(token[rest:])

    def result(self) -> AttentionScan:
        segments: list[Segment] = []
        run: list[str] = []
        run_weight = 1.0
        active: list[_Bracket] = []
        products = [1.0]

        def flush() -> None:
            if run:
                segments.append(Segment("".join(run), run_weight))
                run.clear()

        for event in self.events:
            self.work += 1
            if isinstance(event, str):
                weight = limit_weight(products[-1])
                if weight != run_weight:
                    flush()
                    run_weight = weight
                if event:
                    run.append(event)
            elif isinstance(event, Segment):
                flush()
                segments.append(event)
            elif event[0]:
                active.append(event[1])
                products.append(products[-1] * event[1].factor)
            else:
                self._deactivate(event[1], active, products)
        flush()
        return AttentionScan(
            tuple(segments) or (Segment("", 1.0),), tuple(self.warnings), self.work
        )

    def _deactivate(self, bracket: _Bracket, active: list[_Bracket], products: list[float]) -> None:
        """Drop `bracket`; crossing brackets such as `(a [b) c]` need the products above redone."""
        index = len(active) - 1
        while active[index] is not bracket:
            index -= 1
        del active[index], products[index + 1 :]
        for other in active[index:]:
            self.work += 1
            products.append(products[-1] * other.factor)


def _find_breaks(token: str) -> list[int]:
    """Where the upper-case word BREAK stands in `token`."""
    found: list[int] = []
    start = token.find("BREAK")
    while start >= 0:
        end = start + len("BREAK")
        before = token[start - 1] if start else " "
        after = token[end] if end < len(token) else " "
        if not (_is_word(before) or _is_word(after)):
            found.append(start)
        start = token.find("BREAK", end)
    return found


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
