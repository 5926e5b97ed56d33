"""From the text in the prompt box to what the engine has to encode at which step."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from modules.prompts.attention import scan_attention
from modules.prompts.comments import cut_comments
from modules.prompts.composition import split_and
from modules.prompts.networks import ExtraNetwork, cut_networks, find_networks
from modules.prompts.notices import MAX_WARNINGS, PromptWarning, warn
from modules.prompts.positions import CutText
from modules.prompts.schedule import Budget, ScheduleEntry, Timing, build_schedule

_UNENCODABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class SubPrompt:
    """One part of a prompt split by AND, with its weight and its text over the steps."""

    weight: float
    schedule: tuple[ScheduleEntry, ...]

    def at(self, step: int) -> str:
        """The text used at `step` (from 1); past the end the last one."""
        for entry in self.schedule:
            if step <= entry.end_step:
                return entry.text
        return self.schedule[-1].text


@dataclass(frozen=True)
class PromptPlan:
    """Everything one prompt asks for.

    `parts` has at least one entry. Positions in `warnings` are those of the text given.
    `work` counts the parser's elementary steps (for the tests of its running time).
    """

    parts: tuple[SubPrompt, ...]
    extra_networks: tuple[ExtraNetwork, ...]
    warnings: tuple[PromptWarning, ...]
    work: int = 0

    def texts(self) -> tuple[str, ...]:
        """Every different text that has to be encoded, in order of first use."""
        texts = (entry.text for part in self.parts for entry in part.schedule)
        return tuple(dict.fromkeys(texts))


def parse_prompt(
    text: str,
    steps: int,
    *,
    hires_steps: int | None = None,
    old_scheduling: bool = False,
    negative: bool = False,
    comments: bool = True,
) -> PromptPlan:
    """Read A1111's prompt language; never raises on any text.

    The schedule is for the first pass of `steps` steps, or, with `hires_steps`, for a second pass
    of that many steps, where decimal times run from 1 to 2 and whole ones count on past `steps`.
    `old_scheduling` reads times as before A1111 1.6. A negative prompt has no AND and no extra
    networks. Attention brackets stay in the texts; `parse_attention` reads them.
    """
    clean, warnings = _encodable(text)
    without_comments = cut_comments(clean) if comments else CutText(clean)
    if negative:
        cut, networks = CutText(without_comments.text), ()
        found = _networks_in_negative(cut.text)
    else:
        cut, networks, found = cut_networks(without_comments.text)
    warnings += _moved(found, without_comments)
    body, work = _plan_body(cut.text, _timing(steps, hires_steps, old_scheduling), negative)
    warnings += _moved(_moved(body.warnings, cut), without_comments)
    warnings.sort(key=lambda warning: (warning.start, warning.end))
    return PromptPlan(body.parts, networks, tuple(warnings[:MAX_WARNINGS]), work)


def _plan_body(text: str, timing: Timing, negative: bool) -> tuple[PromptPlan, int]:
    """Plan of a text without comments and extra networks, and the work done for it."""
    attention = scan_attention(text)
    warnings = list(attention.warnings)
    work = attention.work + len(text)
    if negative:
        pieces = [(text, 1.0, 0)]
    else:
        split, found = split_and(text)
        warnings += found
        pieces = [(part.text, part.weight, part.start) for part in split]
    budget = Budget()
    parts: list[SubPrompt] = []
    for piece, weight, start in pieces:
        scheduled = build_schedule(piece, timing, budget)
        parts.append(SubPrompt(weight, scheduled.entries))
        warnings += [
            replace(found, start=found.start + start, end=found.end + start)
            for found in scheduled.warnings
        ]
        work += scheduled.work
    return PromptPlan(tuple(parts), (), tuple(warnings)), work


def _timing(steps: int, hires_steps: int | None, old_scheduling: bool) -> Timing:
    if hires_steps is None:
        return Timing(max(1, steps), old_scheduling=old_scheduling)
    if old_scheduling:
        return Timing(max(1, hires_steps), old_scheduling=True)
    return Timing(max(1, hires_steps), max(1, steps), 1.0)


def _encodable(text: str) -> tuple[str, list[PromptWarning]]:
    """`text` with NUL and lone surrogates replaced one for one, so that positions stay."""
    match = _UNENCODABLE.search(text)
    if match is None:
        return text, []
    warning = warn("control_character", match.start(), match.end())
    return _UNENCODABLE.sub(" ", text), [warning]


def _networks_in_negative(text: str) -> list[PromptWarning]:
    return [
        warn("network_in_negative", start, end, text=text[start:end][:80])
        for start, end, _ in find_networks(text)
    ]


def _moved(
    warnings: list[PromptWarning] | tuple[PromptWarning, ...], cut: CutText
) -> list[PromptWarning]:
    """The warnings with their positions moved back to the text before the cut."""
    return [
        replace(
            warning,
            start=cut.original(warning.start),
            end=cut.original(max(warning.end - 1, warning.start)) + 1
            if warning.end > warning.start
            else cut.original(warning.end),
        )
        for warning in warnings
    ]
