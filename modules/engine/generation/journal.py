"""What has been sampled of the batch in progress: what a pause writes down and going on reads."""

from __future__ import annotations

from collections.abc import Mapping

from modules.engine.generation.control import JobControl, PauseSampling
from modules.engine.generation.pause_state import (
    FinishedWalk,
    HalfWalk,
    Key,
    PauseState,
    Position,
)


class Journal:
    """Follows one job from walk to walk.

    Walks are numbered within their batch. A job that goes on comes by the same walks again: those
    that were finished give what they gave, the one that was begun goes on from its last step.
    """

    def __init__(self, control: JobControl, state: PauseState | None = None) -> None:
        """
        Args:
            state: where to go on.
        """
        self._control = control
        self._walk = 0
        self._finished: dict[Key, FinishedWalk] = {}
        self._half: tuple[Key, HalfWalk] | None = None
        self._known: dict[Key, FinishedWalk] = dict(state.finished) if state else {}
        self._begun = state.half if state else None
        self.iteration = state.position.iteration if state else 0
        self.first_iteration = self.iteration

    def begin_batch(self, iteration: int) -> None:
        """A batch begins.

        Raises:
            PauseSampling: the job shall be put aside before it.
        """
        if iteration != self.first_iteration:
            self._known, self._begun = {}, None
        self.iteration, self._walk = iteration, 0
        self._finished, self._half = {}, None
        # "After this batch" means the one that runs, not one that has not begun.
        later = iteration != self.first_iteration and self._control.pauses_after_batch
        if later or self._control.pauses:
            raise PauseSampling

    def check(self) -> None:
        """Call where nothing is half done.

        Raises:
            PauseSampling: the job shall be put aside.
        """
        if self._control.pauses:
            raise PauseSampling

    def begin_walk(self) -> int:
        """The number of the walk that begins now."""
        self._walk += 1
        return self._walk - 1

    def singly(self, walk: int) -> bool:
        """Whether the pictures of this walk were made one after the other."""
        keys = [*self._known, *([self._begun[0]] if self._begun else [])]
        return any(number == walk and count == 1 for number, _, count in keys)

    def known(self, key: Key) -> FinishedWalk | None:
        """What a walk gave before the pause. It is told once: what is repeated is made anew."""
        found = self._known.pop(key, None)
        if found is not None:
            self._finished[key] = found
        return found

    def begun(self, key: Key) -> HalfWalk | None:
        """Where a walk was before the pause; told once."""
        if self._begun is None or self._begun[0] != key:
            return None
        half, self._begun = self._begun[1], None
        return half

    def finish(self, key: Key, walk: FinishedWalk) -> None:
        """A walk is over."""
        self._finished[key] = walk

    def pause(self, key: Key, half: HalfWalk) -> None:
        """Put the job aside in the middle of a walk.

        Raises:
            PauseSampling: always.
        """
        self._half = key, half
        raise PauseSampling

    def state(self, position: Position) -> PauseState:
        """Where the job is now."""
        finished: Mapping[Key, FinishedWalk] = {**self._known, **self._finished}
        return PauseState(position, finished, self._half or self._begun)
