"""Strengths that change over the steps: `0@0,1@0.5` as in the extension LoRA Control.

A schedule is a list of `weight@when`. Between two points the weight changes evenly; before the
first and after the last it stays. `when` up to 1 is a share of the pass, above 1 a step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_POINTS = 64


@dataclass(frozen=True)
class Curve:
    """A weight over the steps of a pass."""

    points: tuple[tuple[float, float], ...]
    """(when, weight), in order of time; one point for a constant."""
    in_steps: bool = False
    """The times are steps, not shares of the pass."""

    @classmethod
    def constant(cls, weight: float) -> Curve:
        """The same weight at all steps."""
        return cls(((0.0, weight),))

    @property
    def is_constant(self) -> bool:
        """Whether the weight never changes."""
        return len({weight for _, weight in self.points}) == 1

    def at(self, step: int, steps: int) -> float:
        """The weight for step ``step`` (from 0) of ``steps``."""
        when = float(step) if self.in_steps else step / max(1, steps - 1)
        before = self.points[0]
        for point in self.points:
            if point[0] >= when:
                break
            before = point
        else:
            return before[1]
        if point[0] == before[0] or when <= before[0]:
            return point[1] if when >= point[0] else before[1]
        share = (when - before[0]) / (point[0] - before[0])
        return before[1] + share * (point[1] - before[1])


def read_curve(text: str) -> Curve:
    """A number, or `weight@when` separated by commas or semicolons.

    Raises:
        ValueError: it is neither.
    """
    points = []
    items = [item for item in re.split(r"[,;]", text) if item.strip()]
    if not items or len(items) > MAX_POINTS:
        raise ValueError(f"{text[:40]!r} is not a weight")
    for item in items:
        weight, _, when = item.partition("@")
        points.append((read_number(when) if when else 1.0, read_number(weight)))
    if len(points) == 1:
        return Curve.constant(points[0][1])
    points.sort(key=lambda point: point[0])
    return Curve(tuple(points), in_steps=points[-1][0] > 1)


def read_number(text: str) -> float:
    """A finite number of sane size.

    Raises:
        ValueError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text.strip()[:40]!r} is not a number") from None
    if value != value or abs(value) > 1000:
        raise ValueError(f"{text.strip()[:40]!r} is not between -1000 and 1000")
    return value
