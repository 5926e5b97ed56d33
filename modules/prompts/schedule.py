"""Prompt editing over the steps: `[from:to:when]`, `[to:when]`, `[from::when]`, `[a|b|c]`.

One pass builds a small tree, then the tree is written out once per step at which it may change.
Round brackets only matter here because a colon or bar inside them belongs to them.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from dataclasses import dataclass, field

from modules.prompts.notices import PromptWarning, WarningList

MAX_DEPTH = 100
MAX_CHARACTERS = 4_000_000
"""Length of all texts of one prompt's schedule; past it the prompt stays as it is."""
MAX_VISITS = 200_000
"""Tree nodes written out for one prompt's schedule; past it the prompt stays as it is."""

_MARK = re.compile(r"\\.|[()\[\]:|]", re.DOTALL)
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")


@dataclass(frozen=True)
class ScheduleEntry:
    """`text` is used up to and including step `end_step` (steps count from 1)."""

    end_step: int
    text: str


@dataclass(frozen=True)
class Timing:
    """The pass a schedule is made for.

    `first_step` and `first_fraction` are what integer and decimal times count from: 0 and 0 in
    the first pass; the first pass's steps and 1.0 in a hires second pass.
    """

    steps: int
    first_step: int = 0
    first_fraction: float = 0.0
    old_scheduling: bool = False

    def step_of(self, number: str) -> int:
        """The last step before the switch: 0 = from the start, `steps` or more = never."""
        value = float(number)
        if self.old_scheduling:
            value = value * self.steps if value < 1 else value
        elif "." in number:
            value = (value - self.first_fraction) * self.steps
        else:
            value -= self.first_step
        if math.isnan(value):
            return 0
        return int(max(0.0, min(float(self.steps), value)))


@dataclass
class Budget:
    """What may still be written out; shared by the parts of one prompt."""

    characters: int = MAX_CHARACTERS
    visits: int = MAX_VISITS

    @property
    def spent(self) -> bool:
        return self.characters < 0 or self.visits < 0


@dataclass(frozen=True)
class _Switch:
    before: list[_Node]
    after: list[_Node]
    step: int


@dataclass(frozen=True)
class _Alternation:
    options: tuple[list[_Node], ...]


_Node = str | _Switch | _Alternation


@dataclass
class _Frame:
    """An open bracket: its parts so far and the `:` and `|` between them."""

    bracket: str
    start: int
    parts: list[list[_Node]] = field(default_factory=lambda: [[]])
    separators: str = ""


@dataclass(frozen=True)
class Scheduled:
    """Result of `build_schedule`; `work` counts the parser's elementary steps."""

    entries: tuple[ScheduleEntry, ...]
    warnings: tuple[PromptWarning, ...]
    work: int


def build_schedule(text: str, timing: Timing, budget: Budget | None = None) -> Scheduled:
    """The texts `text` stands for over the steps 1 … `timing.steps`; never raises.

    The entries cover every step exactly once, and neighbours differ.
    """
    if "[" not in text:
        return Scheduled((ScheduleEntry(timing.steps, text),), (), 1)
    budget = budget or Budget()
    tree = _TreeBuilder(text, timing)
    root = tree.build()
    before = budget.visits
    entries: list[ScheduleEntry] = []
    written: dict[tuple[int, int], str] = {}
    for end_step in tree.ends():
        state = tree.state(end_step)
        if state not in written:
            if entries and budget.spent:
                step = entries[-1].end_step
                tree.warnings.add("schedule_limited", 0, len(text), step=step)
                entries[-1] = ScheduleEntry(timing.steps, entries[-1].text)
                break
            written[state] = _write(root, end_step, budget)
        if entries and entries[-1].text == written[state]:
            entries[-1] = ScheduleEntry(end_step, written[state])
        else:
            entries.append(ScheduleEntry(end_step, written[state]))
    return Scheduled(tuple(entries), tuple(tree.warnings), tree.work + before - budget.visits)


class _TreeBuilder:
    """Matches brackets with an explicit stack and decides at each `]` what it closes."""

    def __init__(self, text: str, timing: Timing) -> None:
        self.text = text
        self.timing = timing
        self.stack: list[_Frame] = [_Frame("", 0)]
        self.open_squares = 0
        self.skipped = 0
        self.switches: set[int] = set()
        self.sorted_switches: list[int] = []
        self.period = 1
        self.warnings = WarningList()
        self.work = 0

    def build(self) -> list[_Node]:
        position = 0
        for match in _MARK.finditer(self.text):
            self.work += 1
            self._literal(self.text[position : match.start()])
            position = match.end()
            self._mark(match.group(), match.start())
        self._literal(self.text[position:])
        while len(self.stack) > 1:
            self._dissolve("")
        self.sorted_switches = sorted(self.switches)
        return self._merge(self.stack[0].parts[0])

    def ends(self) -> list[int]:
        """The steps after which the text may change, ascending, ending with the last step."""
        if self.period > 1:
            return list(range(1, self.timing.steps + 1))
        return sorted({*self.switches, self.timing.steps})

    def state(self, step: int) -> tuple[int, int]:
        """Steps with equal states have equal texts."""
        return bisect_left(self.sorted_switches, step), (step - 1) % self.period

    def _literal(self, text: str) -> None:
        if text:
            self.stack[-1].parts[-1].append(text)

    def _mark(self, mark: str, position: int) -> None:
        if mark in "([":
            self._open(mark, position)
        elif mark in ")]" and self.skipped:
            self.skipped -= 1
            self._literal(mark)
        elif mark == ")":
            if self.stack[-1].bracket == "(":
                self._dissolve(")")
            else:
                self._literal(mark)
        elif mark == "]":
            self._close_square(position)
        elif mark in ":|" and self.stack[-1].bracket == "[":
            frame = self.stack[-1]
            frame.separators += mark
            frame.parts.append([])
        else:
            self._literal(mark)

    def _open(self, mark: str, position: int) -> None:
        if len(self.stack) > MAX_DEPTH:
            self.skipped += 1
            self._literal(mark)
            return
        self.open_squares += mark == "["
        self.stack.append(_Frame(mark, position))

    def _close_square(self, position: int) -> None:
        if not self.open_squares:
            self._literal("]")
            return
        while self.stack[-1].bracket != "[":
            self._dissolve("")
        node = self._node_of(self.stack[-1], position + 1)
        if node is None:
            self._dissolve("]")
            return
        self.stack.pop()
        self.open_squares -= 1
        self.stack[-1].parts[-1].append(node)

    def _node_of(self, frame: _Frame, end: int) -> _Node | None:
        """The switch or alternation that `frame` is, or None when it is a plain bracket."""
        if "|" in frame.separators:
            if ":" in frame.separators:
                self.warnings.add("mixed_alternation", frame.start, end)
            options = self._options(frame)
            self.period = min(math.lcm(self.period, len(options)), self.timing.steps)
            return _Alternation(tuple(options))
        if not frame.separators:
            return None
        last = self._merge(frame.parts[-1])
        only = last[0] if len(last) == 1 else None
        number = _NUMBER.fullmatch(only) if isinstance(only, str) else None
        if number is None:
            return None
        when = number.group(1)
        if len(frame.separators) > 2:
            self.warnings.add("schedule_parts", frame.start, end, when=when[:20])
            return None
        return self._switch(frame, when, end)

    def _switch(self, frame: _Frame, when: str, end: int) -> _Switch:
        step = self.timing.step_of(when)
        if 1 <= step < self.timing.steps:
            self.switches.add(step)
        elif step and "." in when and not self.timing.first_fraction:
            self.warnings.add("schedule_never", frame.start, end, when=when[:20])
        parts = [self._merge(part) for part in frame.parts[:-1]]
        before = parts[0] if len(parts) == 2 else []
        return _Switch(before, parts[-1], step)

    def _options(self, frame: _Frame) -> list[list[_Node]]:
        options: list[list[_Node]] = [list(frame.parts[0])]
        for separator, part in zip(frame.separators, frame.parts[1:], strict=True):
            if separator == "|":
                options.append(list(part))
            else:
                options[-1] += [":", *part]
        return [self._merge(option) for option in options]

    def _dissolve(self, closing: str) -> None:
        """The innermost bracket is plain text here: give its content to the one around it."""
        frame = self.stack.pop()
        self.open_squares -= frame.bracket == "["
        nodes: list[_Node] = [frame.bracket, *frame.parts[0]]
        for separator, part in zip(frame.separators, frame.parts[1:], strict=True):
            nodes += [separator, *part]
        nodes.append(closing)
        self.stack[-1].parts[-1] += self._merge(nodes)

    def _merge(self, nodes: list[_Node]) -> list[_Node]:
        """The same nodes with neighbouring texts joined."""
        merged: list[_Node] = []
        run: list[str] = []
        for node in nodes:
            self.work += 1
            if isinstance(node, str):
                run.append(node)
                continue
            if run:
                merged.append("".join(run))
                run = []
            merged.append(node)
        if run:
            merged.append("".join(run))
        return merged


def _write(root: list[_Node], step: int, budget: Budget) -> str:
    """The text of the tree at `step`, charged to the budget."""
    out: list[str] = []

    def visit(nodes: list[_Node]) -> None:
        for node in nodes:
            budget.visits -= 1
            if isinstance(node, str):
                out.append(node)
                budget.characters -= len(node)
            elif isinstance(node, _Switch):
                visit(node.before if step <= node.step else node.after)
            else:
                visit(node.options[(step - 1) % len(node.options)])

    visit(root)
    return "".join(out)
