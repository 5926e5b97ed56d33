"""What the prompt parser has to say to the user, with the place in the text it is about."""

from __future__ import annotations

from dataclasses import dataclass, field

MESSAGES: dict[str, str] = {
    "unclosed_bracket": "The bracket “{bracket}” is never closed, so it applies to the end.",
    "stray_bracket": "The bracket “{bracket}” closes nothing and is read as plain text.",
    "bad_number": "“{number}” is not a number; it is read as {value}.",
    "no_number": "“{number}” is not a number, so the bracket has its plain weight of 1.1.",
    "weight_limited": "The weight {number} is out of range and is limited to {value}.",
    "break_in_brackets": (
        "BREAK inside brackets starts a new chunk here; A1111 would encode the word instead."
    ),
    "too_deep": "Brackets nested deeper than {limit} levels have no effect.",
    "schedule_never": (
        "“{when}” lies at or after the end of this pass, so this switch never happens. "
        "With a decimal point the number is a fraction of the steps, without one a step."
    ),
    "schedule_parts": (
        "“[…:…:…:{when}]” has too many parts for a switch and is read as plain brackets."
    ),
    "mixed_alternation": "“[…|…]” alternates; the colon inside it is read as plain text.",
    "schedule_limited": (
        "The prompt changes too often for its length; after step {step} it stays as it is."
    ),
    "and_in_brackets": "AND splits the prompt here although it stands inside brackets.",
    "too_many_parts": "Only the first {limit} parts joined by AND are split; the rest is one text.",
    "weight_without_and": (
        "“{weight}” at the end is plain text without AND; write (text{weight}) for a weight."
    ),
    "network_in_negative": "“{text}” has no effect in a negative prompt and is read as text.",
    "unknown_network": "“{text}” is of no known kind (lora, lyco, hypernet) and is ignored.",
    "control_character": "Characters that cannot be encoded were replaced.",
    "unknown_wildcard": "There is no wildcard file “{name}”; the text is kept.",
    "empty_wildcard": "The wildcard file “{name}” has no entries.",
    "wildcard_depth": "Wildcards nested deeper than {limit} levels are kept as text.",
    "wildcard_limit": "The wildcards produce too much text; the rest is kept as it is.",
    "unclosed_brace": "The brace “{{” is never closed and is read as plain text.",
}
"""English sentence per code; the translations are keyed by the same codes."""


@dataclass(frozen=True)
class PromptWarning:
    """One remark about a prompt: `start` and `end` are character positions in the text given."""

    start: int
    end: int
    message: str
    code: str = ""
    params: dict[str, str] = field(default_factory=dict)


MAX_WARNINGS = 50
"""Remarks kept about one prompt; nobody reads more."""


class WarningList(list[PromptWarning]):
    """A list that takes MAX_WARNINGS remarks and forgets the rest."""

    def add(self, code: str, start: int, end: int, **params: object) -> None:
        """Append the remark `code` while there is room."""
        if len(self) < MAX_WARNINGS:
            self.append(warn(code, start, end, **params))


def warn(code: str, start: int, end: int, **params: object) -> PromptWarning:
    """A warning with the English sentence of `code` filled in."""
    texts = {key: str(value) for key, value in params.items()}
    return PromptWarning(start, end, MESSAGES[code].format(**texts), code, texts)
