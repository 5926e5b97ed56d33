"""Runs a script's plan with answers given on the spot."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from PIL import Image

from modules.requests.plans import UnitResult


@dataclass(frozen=True)
class Painted:
    """A picture as a plan gets it back."""

    infotext: str
    seed: int
    colour: tuple[int, int, int] = (255, 0, 0)
    size: tuple[int, int] = (64, 48)

    def image(self):
        return Image.new("RGB", self.size, self.colour)


def answered(unit):
    """A red picture of the size and seed asked for."""
    request = unit.request
    size = (request.width, request.height)
    text = f"{request.prompt}\nSteps: {request.steps}, Seed: {request.seed}"
    return UnitResult((Painted(text, request.seed, size=size),))


@pytest.fixture
def carry_out():
    """All units of a plan, and what it leaves behind."""

    def run(plan, answer=answered):
        units = []
        try:
            batch = next(plan)
            while True:
                units += batch.units
                batch = plan.send([answer(unit) for unit in batch.units])
        except StopIteration as end:
            return units, end.value

    return run
