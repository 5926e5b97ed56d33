"""`# comments`: from the sign to the end of the line."""

from __future__ import annotations

from modules.prompts.positions import CutText, cut


def strip_comments(text: str) -> str:
    """Remove everything from `#` to the end of its line; a line that is all comment goes entirely.

    `\\#` is not a comment.
    """
    return cut_comments(text).text


def cut_comments(text: str) -> CutText:
    """Like `strip_comments`, keeping the way back to the original positions."""
    spans: list[tuple[int, int]] = []
    position = text.find("#")
    while position >= 0:
        if _is_escaped(text, position):
            position = text.find("#", position + 1)
            continue
        line_end = text.find("\n", position)
        end = len(text) if line_end < 0 else line_end
        start = position
        if position == 0 or text[position - 1] == "\n":
            if line_end >= 0:
                end += 1
            elif position > 0:
                start -= 1
                if spans and spans[-1][1] > start:
                    start = spans[-1][1]
        spans.append((start, end))
        position = text.find("#", end)
    return cut(text, spans)


def _is_escaped(text: str, position: int) -> bool:
    """Whether an odd number of backslashes stands directly before `position`."""
    before = position
    while before > 0 and text[before - 1] == "\\":
        before -= 1
    return (position - before) % 2 == 1
