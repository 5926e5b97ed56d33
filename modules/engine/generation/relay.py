"""Handing the picture over to another model in the middle of sampling: the refiner's part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from modules.engine.checkpoints import LoadedModel
from modules.engine.generation.added import AddedInputs
from modules.engine.generation.prompts import PromptSet
from modules.engine.generation.spec import GenerationSpec
from modules.engine.sampling import ModelSampling

DEFAULT_SWITCH = 0.8
"""Where the page's slider begins; for requests that name a refiner and no switch point."""
FIRST, SECOND, BOTH = "first pass", "second pass", "both passes"


@dataclass(frozen=True)
class RefinerSpec:
    """When the refiner takes over."""

    switch_at: float
    """Share of the way, 0 to 1."""
    by_steps: bool
    """Measure the way in steps (as A1111 before 1.9) instead of the model's timesteps."""
    passes: str = SECOND
    """Of a job with hires fix: which of its passes."""

    @classmethod
    def from_spec(cls, spec: GenerationSpec) -> RefinerSpec:
        """Read the request and the settings."""
        asked = spec.form.refiner_switch_at
        return cls(
            switch_at=DEFAULT_SWITCH if asked is None else asked,
            by_steps=bool(spec.options.get("refiner_switch_by_sample_steps", False)),
            passes=str(spec.options.get("hires_fix_refiner_pass", SECOND)),
        )

    def takes_part(self, *, hires: bool, second: bool) -> bool:
        """Whether it works in a pass of a job with or without hires fix."""
        if not hires:
            return True
        return self.passes == BOTH or self.passes == (SECOND if second else FIRST)

    def infotext(self, label: str, *, hires: bool) -> dict[str, Any]:
        """A1111's keys, in its order; ``label`` is the checkpoint's."""
        extra: dict[str, Any] = {}
        if self.by_steps:
            extra["Refiner switch by sampling steps"] = True
        if hires and self.passes != SECOND:
            extra["Hires refiner"] = self.passes
        return {**extra, "Refiner": label, "Refiner switch at": self.switch_at}


@dataclass(frozen=True)
class Runner:
    """A model in the loop, and everything that was made ready for it."""

    model: LoadedModel
    sampling: ModelSampling
    """Its timesteps, as the sampler's settings change them."""
    prompts: PromptSet
    added: AddedInputs = field(default_factory=AddedInputs)
    concat: Tensor | None = None


class Relay:
    """Asked before each evaluation whether the other model's turn has come."""

    def __init__(self, spec: RefinerSpec, sigmas: Tensor, take_over: Callable[[], Runner]) -> None:
        """
        Args:
            sigmas: noise levels of the first model's timesteps, ascending.
            take_over: brings the other model into memory; the first is gone then.
        """
        self._spec = spec
        self._sigmas = sigmas
        self._take_over = take_over
        self.done = False

    def due(self, sigma: float, call: int, calls: int) -> bool:
        """Whether evaluation ``call`` of ``calls``, at noise level ``sigma``, is past the switch.

        The way is 0 at the highest timestep and 0.999 at the lowest of 1000.
        """
        if self._spec.by_steps:
            return call / max(calls, 1) >= self._spec.switch_at
        count = len(self._sigmas)
        timestep = int(torch.argmin((self._sigmas - sigma).abs()))
        return (count - 1 - timestep) / count >= self._spec.switch_at

    def take_over(self) -> Runner:
        """The other model, ready to go on."""
        self.done = True
        return self._take_over()
