"""Wildcards and choices: `__name__`, `{a|b}`, `{0.6::red|0.4::blue}`, `{2$$a|b|c}`.

Braces without a bar inside are plain text, so `{prompt}` and old `{x}` emphasis stay as typed.
`\\{`, `\\}`, `\\|` and `\\_` stand for the sign itself. A bar inside balanced `[…]` belongs to that
alternation, not to the braces around it. The same template and seed always give the same text.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

from modules.prompts.notices import PromptWarning, warn
from modules.prompts.wildcard_files import Entries, WildcardLibrary

MAX_DEPTH = 30
MAX_WARNINGS = 20
MAX_EXPANSIONS = 10_000
MAX_CHARACTERS = 1_000_000
MAX_PICKS = 100
MAX_WORK = 1_000_000
"""Characters of entries that are read, and options that are weighed, for one template."""
STAR_WORK = 5_000
"""What a name with a star costs of that: it means a walk over all files."""

_MARK = re.compile(r"\\[{}|_]|__(?:[^\W_]|\*)(?:[\w \-./*]{0,198}?[\w\-.*]|)__|[{}|\[\]]")
_WEIGHT = re.compile(r"\s*(\d+\.?\d*|\.\d+)::")
_COUNT = re.compile(r"\s*(\d{0,3})(-?)(\d{0,3})\$\$")


@dataclass(frozen=True)
class Expansion:
    """The text a template became, and what could not be done (positions in the template)."""

    text: str
    warnings: tuple[PromptWarning, ...] = ()


@dataclass(frozen=True)
class _Wildcard:
    name: str
    start: int
    end: int


@dataclass(frozen=True)
class _Choice:
    options: tuple[tuple[float, list[_Node]], ...]
    low: int
    high: int
    joiner: str


_Node = str | _Wildcard | _Choice


@dataclass
class _Frame:
    opening: str
    start: int
    parts: list[list[_Node]] = field(default_factory=lambda: [[]])


def has_wildcards(template: str) -> bool:
    """Whether expanding `template` could change it."""
    nodes, _ = _parse(template)
    return "".join(node for node in nodes if isinstance(node, str)) != template


def expand(template: str, seed: int, library: WildcardLibrary | None = None) -> Expansion:
    """Replace the wildcards and choices of `template`; never raises.

    `seed` is the image's seed; without `library` only choices are replaced.
    """
    expander = _Expander(library, random.Random(abs(int(seed))))
    nodes, warnings = _parse(template)
    expander.warnings += warnings
    expander.write(nodes, 0)
    return Expansion("".join(expander.out), tuple(expander.warnings))


class _Expander:
    """Writes the tree out, drawing as it goes from left to right."""

    def __init__(self, library: WildcardLibrary | None, rng: random.Random) -> None:
        self.library = library
        self.rng = rng
        self.out: list[str] = []
        self.characters = 0
        self.expansions = 0
        self.work = 0
        self.known: dict[str, Entries | None] = {}
        self.place: tuple[int, int] | None = None
        self.warnings: list[PromptWarning] = []

    def write(self, nodes: list[_Node], depth: int) -> None:
        for node in nodes:
            if isinstance(node, str):
                self._text(node)
            elif isinstance(node, _Wildcard):
                self._wildcard(node, depth)
            else:
                self._choice(node, depth)

    def _text(self, text: str) -> None:
        if self.characters <= MAX_CHARACTERS:
            self.characters += len(text)
            self.out.append(text)

    def _wildcard(self, node: _Wildcard, depth: int) -> None:
        entries = self._entries(node, depth)
        if entries is None:
            self._text(f"__{node.name}__")
        else:
            self._entry(entries.draw(self.rng.random()), entries, node, depth)

    def _entry(self, index: int, entries: Entries, node: _Wildcard, depth: int) -> None:
        """Write one entry, whose own wildcards and choices are expanded too."""
        outer = self.place
        self.place = outer or (node.start, node.end)
        self.work += len(entries.texts[index])
        self.write(_parse(entries.texts[index])[0], depth + 1)
        self.place = outer

    def _entries(self, node: _Wildcard, depth: int) -> Entries | None:
        """The entries to draw from; None when the wildcard has to stay as text."""
        self.expansions += 1
        if self.library is None:
            return None
        if depth >= MAX_DEPTH:
            self._warn("wildcard_depth", node, limit=MAX_DEPTH)
        elif self._is_too_much():
            self._warn("wildcard_limit", node)
        else:
            entries = self._known(node.name)
            if entries is not None and entries.texts:
                return entries
            known = entries is not None
            self._warn("empty_wildcard" if known else "unknown_wildcard", node, name=node.name)
        return None

    def _is_too_much(self) -> bool:
        return (
            self.expansions > MAX_EXPANSIONS
            or self.characters > MAX_CHARACTERS
            or self.work > MAX_WORK
        )

    def _known(self, name: str) -> Entries | None:
        """The entries of a name, looked up once: a star in it means a walk over all files."""
        if name not in self.known:
            assert self.library is not None
            self.known[name] = self.library.entries(name)
            self.work += STAR_WORK if "*" in name else 0
        return self.known[name]

    def _warn(self, code: str, node: _Wildcard, **params: object) -> None:
        """One warning of a kind; inside a wildcard file its place is that of the outer name."""
        if len(self.warnings) < MAX_WARNINGS:
            start, end = self.place or (node.start, node.end)
            warning = warn(code, start, end, **params)
            if warning not in self.warnings:
                self.warnings.append(warning)

    def _choice(self, node: _Choice, depth: int) -> None:
        count = node.low
        if node.high > node.low:
            count += int(self.rng.random() * (node.high - node.low + 1))
        wildcard = _only_wildcard(node)
        entries = self._entries(wildcard, depth) if wildcard else None
        if wildcard and entries is not None:
            for number, index in enumerate(self._several(entries, count)):
                self._text(node.joiner if number else "")
                self._entry(index, entries, wildcard, depth + 1)
            return
        remaining = list(range(len(node.options)))
        for number in range(min(count, len(remaining))):
            self.work += len(remaining)
            if number and self.work > MAX_WORK:
                break
            chosen = remaining.pop(_draw(self.rng, [node.options[index][0] for index in remaining]))
            self._text(node.joiner if number else "")
            self.write(node.options[chosen][1], depth + 1)

    def _several(self, entries: Entries, count: int) -> list[int]:
        """Up to `count` different entries; fewer when chance keeps hitting the same ones."""
        chosen: list[int] = []
        for _ in range(20 * count):
            if len(chosen) >= min(count, len(entries.texts)):
                break
            index = entries.draw(self.rng.random())
            if index not in chosen:
                chosen.append(index)
        return chosen


def _only_wildcard(node: _Choice) -> _Wildcard | None:
    """The wildcard that is the only content of `{2$$__name__}`, to draw among its entries."""
    content = node.options[0][1] if len(node.options) == 1 else []
    found = [one for one in content if isinstance(one, _Wildcard)]
    rest = [one for one in content if not isinstance(one, _Wildcard)]
    blank = all(isinstance(one, str) and one.isspace() for one in rest)
    return found[0] if len(found) == 1 and blank else None


def _draw(rng: random.Random, weights: list[float]) -> int:
    """An index drawn with the given weights (evenly when all are zero)."""
    total = sum(weights)
    point = rng.random() * (total or len(weights))
    for index, weight in enumerate(weights):
        point -= weight if total else 1.0
        if point < 0:
            return index
    return len(weights) - 1


def _parse(template: str) -> tuple[list[_Node], list[PromptWarning]]:
    """The tree of a template, in one pass with an explicit stack."""
    stack = [_Frame("", 0)]
    depth_skipped = 0
    warnings: list[PromptWarning] = []
    position = 0
    for match in _MARK.finditer(template):
        _append(stack[-1], template[position : match.start()])
        position, mark = match.end(), match.group()
        if mark[0] == "\\":
            _append(stack[-1], mark[1:] if mark[1] != "|" or len(stack) > 1 else mark)
        elif mark[0] == "_":
            stack[-1].parts[-1].append(_Wildcard(mark[2:-2], match.start(), match.end()))
        elif mark in "{[":
            if len(stack) > MAX_DEPTH:
                depth_skipped += 1
                _append(stack[-1], mark)
            else:
                stack.append(_Frame(mark, match.start()))
        elif mark in "}]" and depth_skipped:
            depth_skipped -= 1
            _append(stack[-1], mark)
        elif mark == "|" and stack[-1].opening == "{":
            stack[-1].parts.append([])
        elif mark == "]" and stack[-1].opening == "[":
            _dissolve(stack, "]")
        elif mark == "}" and any(frame.opening == "{" for frame in stack):
            while stack[-1].opening != "{":
                _dissolve(stack, "")
            _close_brace(stack)
        else:
            _append(stack[-1], mark)
    _append(stack[-1], template[position:])
    while len(stack) > 1:
        if stack[-1].opening == "{":
            start = stack[-1].start
            warnings.append(warn("unclosed_brace", start, start + 1))
        _dissolve(stack, "")
    return _merge(stack[0].parts[0]), warnings


def _append(frame: _Frame, text: str) -> None:
    if text:
        frame.parts[-1].append(text)


def _close_brace(stack: list[_Frame]) -> None:
    """Turn the finished `{…}` into a choice, or into plain text when it is none."""
    frame = stack[-1]
    first = frame.parts[0][0] if frame.parts[0] else ""
    count = _COUNT.match(first) if isinstance(first, str) else None
    if count is None and len(frame.parts) == 1:
        _dissolve(stack, "}")
        return
    stack.pop()
    parts = [_merge(part) for part in frame.parts]
    low, high, joiner = 1, 1, ", "
    if count is not None:
        low, high, joiner = _read_count(count, parts)
    options = tuple(_read_option(part) for part in parts)
    stack[-1].parts[-1].append(_Choice(options, low, high, joiner))


def _read_count(count: re.Match[str], parts: list[list[_Node]]) -> tuple[int, int, str]:
    """Least, most and joiner of `{2$$…}`, `{1-3$$…}`, `{2$$ and $$…}`; cut off the first part."""
    first = str(parts[0][0])[count.end() :]
    joiner, more, rest = first.partition("$$")
    if not more:
        joiner, rest = ", ", first
    parts[0] = [*([rest] if rest else []), *parts[0][1:]]
    low_text, dash, high_text = count.groups()
    most = MAX_PICKS if len(parts) == 1 else len(parts)
    low = int(low_text) if low_text else 0 if dash else 1
    high = (int(high_text) if high_text else most) if dash else low
    low, high = min(low, MAX_PICKS), min(high, MAX_PICKS)
    return min(low, high), max(low, high), joiner


def _read_option(part: list[_Node]) -> tuple[float, list[_Node]]:
    """The weight and the content of one option such as `0.6::red`."""
    first = part[0] if part else ""
    match = _WEIGHT.match(first) if isinstance(first, str) else None
    if match is None:
        return 1.0, part
    rest = str(first)[match.end() :]
    return min(float(match.group(1)), 1e9), [*([rest] if rest else []), *part[1:]]


def _dissolve(stack: list[_Frame], closing: str) -> None:
    """The innermost bracket is plain text: give its content to the one around it."""
    frame = stack.pop()
    nodes: list[_Node] = [frame.opening, *frame.parts[0]]
    for part in frame.parts[1:]:
        nodes += ["|", *part]
    nodes.append(closing)
    stack[-1].parts[-1] += _merge(nodes)


def _merge(nodes: list[_Node]) -> list[_Node]:
    """The same nodes with neighbouring texts joined."""
    merged: list[_Node] = []
    run: list[str] = []
    for node in nodes:
        if isinstance(node, str):
            run.append(node)
            continue
        if run:
            merged.append("".join(run))
            run = []
        merged.append(node)
    if run:
        merged.append("".join(run))
    return [node for node in merged if node != ""]
