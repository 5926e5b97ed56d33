"""Progress of one picture through several steps, as one count of tiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping


class Counter:
    """Tiles of all steps of one picture, counted through; never backwards."""

    def __init__(self, tell: Callable[[int, int], None]) -> None:
        self._tell = tell
        self._planned: dict[str, int] = {}
        self._before = self._within = self._step_offset = self._shown = 0

    def begin(self, planned: Mapping[str, int]) -> None:
        """A picture with so many tiles per step.

        It is told at once: from here the server measures how long the first tile takes.
        """
        self._planned = dict(planned)
        self._before = self._within = self._step_offset = self._shown = 0
        self._show(0)

    def upscaler(self, _name: str) -> None:
        """One of a step's upscalers begins; the first one's tiles are done."""
        self._step_offset = self._within

    def tiles(self, done: int, total: int) -> None:
        """So many tiles of the part at work are done."""
        self._within = self._step_offset + done
        self._show(self._step_offset + max(done, total))

    def finish(self, name: str) -> None:
        """A step is done."""
        self._before += self._planned.pop(name, 0)
        self._within = self._step_offset = 0
        self._show(0)

    def complete(self) -> None:
        """The picture is done, whatever was planned."""
        total = max(1, self._before)
        self._shown = total
        self._tell(total, total)

    def _show(self, at_least: int) -> None:
        ahead = max(sum(self._planned.values()), at_least)
        self._shown = max(self._shown, min(self._before + self._within, self._before + ahead))
        self._tell(self._shown, max(self._before + ahead, self._shown, 1))
