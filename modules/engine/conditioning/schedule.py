"""Which conditioning is in force at which step."""

from __future__ import annotations

from dataclasses import dataclass

from modules.engine.conditioning.conditioning import Conditioning


@dataclass(frozen=True)
class ScheduledPart:
    """One side of an AND over the steps."""

    weight: float
    entries: tuple[tuple[int, Conditioning], ...]
    """(last step, conditioning) in order."""

    def at(self, step: int) -> Conditioning:
        """The conditioning at `step`; past the end the last one. See `ConditioningSchedule.at`."""
        for end_step, conditioning in self.entries:
            if step <= end_step:
                return conditioning
        return self.entries[-1][1]


@dataclass(frozen=True)
class ConditioningSchedule:
    """Everything a prompt wants, over all steps."""

    parts: tuple[ScheduledPart, ...]

    def at(self, step: int) -> tuple[tuple[float, Conditioning], ...]:
        """(weight, conditioning) of every part at one step.

        An entry holds while `step <= end_step`. A1111 counts its model calls from 0 here, so that
        `[a:b:10]` shows `a` for eleven of them; pass the same count to get the same pictures.
        """
        return tuple((part.weight, part.at(step)) for part in self.parts)

    @property
    def is_constant(self) -> bool:
        """Whether nothing changes over the steps."""
        return all(
            all(conditioning is part.entries[0][1] for _, conditioning in part.entries)
            for part in self.parts
        )
