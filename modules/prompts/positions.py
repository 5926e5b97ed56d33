"""Removing pieces from a text while remembering where the rest came from."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True)
class CutText:
    """A text from which pieces were cut, with a way back to the original positions."""

    text: str
    new_starts: tuple[int, ...] = (0,)
    old_starts: tuple[int, ...] = (0,)

    def original(self, position: int) -> int:
        """The position in the uncut text of a position in `text`."""
        index = bisect_right(self.new_starts, position) - 1
        return self.old_starts[index] + position - self.new_starts[index]


def cut(text: str, spans: list[tuple[int, int]]) -> CutText:
    """Remove the ascending, non-overlapping `spans` (start, end) from `text`."""
    kept: list[str] = []
    new_starts, old_starts = [0], [0]
    position = length = 0
    for start, end in spans:
        kept.append(text[position:start])
        length += start - position
        position = end
        if new_starts[-1] == length:
            old_starts[-1] = end
        else:
            new_starts.append(length)
            old_starts.append(end)
    kept.append(text[position:])
    return CutText("".join(kept), tuple(new_starts), tuple(old_starts))
