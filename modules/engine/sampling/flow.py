"""Models trained by flow matching (SD3, FLUX), seen as all others: ``x = x0 + sigma * noise``.

Rectified flow (Liu et al. 2022; Esser et al. 2024) mixes ``z = (1 - s) x0 + s noise`` for a flow
time s from 0 to 1 and lets the network predict ``noise - x0``. Divided by 1 - s this is
``x0 + sigma * noise`` with ``sigma = s / (1 - s)``. Samplers, masks and pictures to start from
therefore need nothing of their own: only the network's door (``prediction``) and the schedule
types, which spread s, know that s exists. Euler's step is the same in both views.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from modules.engine.sampling.model_sampling import ModelSampling

TERMINAL = 1e6
"""Sigma that stands for s = 1, where there is nothing but noise and sigma would be infinite."""
BODY = 49.0
"""Sigma of s = 0.98: where samplers that choose their own levels begin after their first step."""


@dataclass(frozen=True)
class DynamicShift:
    """A shift that depends on the number of places the transformer attends to."""

    base_tokens: int = 256
    max_tokens: int = 4096
    base: float = 0.5
    max: float = 1.15
    exponential: bool = True

    def shift(self, tokens: int) -> float:
        """The factor for a picture of ``tokens`` places (2x2 latent pixels each)."""
        slope = (self.max - self.base) / (self.max_tokens - self.base_tokens)
        mu = self.base + slope * (tokens - self.base_tokens)
        return math.exp(mu) if self.exponential else mu


@dataclass(frozen=True, eq=False)
class FlowSampling(ModelSampling):
    """Discrete noise schedule of a flow matching model; ``sigmas`` are ``s / (1 - s)``."""

    shift: float = 1.0
    """Esser et al. (2024), equation 23: moves the times towards noise for larger pictures."""
    dynamic: DynamicShift | None = None
    """Where ``shift`` comes from when it depends on the picture's size."""
    even: bool = False
    """Automatic schedule: n times 1, 1 - 1/n … (FLUX), else from the first to the last (SD3)."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> FlowSampling:
        """From diffusers' ``FlowMatchEulerDiscreteScheduler`` configuration.

        Raises:
            ValueError: an impossible shift or number of timesteps.
        """
        count = int(config.get("num_train_timesteps", 1000))
        if not 2 <= count <= 100_000:
            raise ValueError(f"num_train_timesteps is {count}")
        dynamic = _dynamic(config) if config.get("use_dynamic_shifting") else None
        shift = dynamic.shift(dynamic.max_tokens) if dynamic else float(config.get("shift", 1.0))
        if not 0 < shift < 1000:
            raise ValueError(f"shift is {shift}")
        return cls._of(count, shift, dynamic, even=dynamic is not None or bool(config.get("even")))

    @classmethod
    def _of(
        cls, count: int, shift: float, dynamic: DynamicShift | None, *, even: bool
    ) -> FlowSampling:
        times = shifted(torch.arange(1, count + 1, dtype=torch.float64) / count, shift)
        return cls(
            (1 / (1 + to_sigma(times) ** 2)).float(),
            prediction_type="flow",
            body_sigma_max=BODY,
            zero_terminal_snr=True,
            timestep_spacing="trailing",
            set_alpha_to_one=True,
            shift=shift,
            dynamic=dynamic,
            even=even,
        )

    def _sigmas(self) -> Tensor:
        return to_sigma(self._times()).float()

    def _times(self) -> Tensor:
        count = len(self.alphas_cumprod)
        return shifted(torch.arange(1, count + 1, dtype=torch.float64) / count, self.shift)

    def for_picture(self, tokens: int) -> FlowSampling:
        """The schedule for a picture of ``tokens`` places; itself unless the shift is dynamic."""
        if self.dynamic is None:
            return self
        made = self._of(self.timesteps, self.dynamic.shift(tokens), self.dynamic, even=self.even)
        return replace(made, quantize=self.quantize)

    def with_zero_terminal_snr(self) -> FlowSampling:
        """Itself: a flow begins with nothing but noise."""
        return self

    def downcast(self) -> FlowSampling:
        """Itself: there is no table of alphas to be rounded."""
        return self

    def sigma_to_t(self, sigma: Tensor) -> Tensor:
        """What the network is told: flow times in ``timesteps``-ths; any device, no sync."""
        t = sigma.double() / (1 + sigma.double())
        t = torch.where(sigma >= TERMINAL / 2, torch.ones_like(t), t) * self.timesteps
        return (t.round() if self.quantize else t).to(sigma)

    def timestep(self, sigma: float) -> float:
        """What the network is told at one sigma."""
        t = to_time(sigma) * self.timesteps
        return float(round(t)) if self.quantize else t

    def t_to_sigma(self, t: Tensor | float) -> Tensor:
        """Sigmas of the times ``t / timesteps`` before the shift."""
        t = torch.as_tensor(t, dtype=torch.float64)
        return to_sigma(shifted(t / self.timesteps, self.shift)).float()

    def for_lcm(self) -> FlowSampling:
        """Itself: consistency distillations of flows keep all their times."""
        return self

    @property
    def view(self) -> FlowTimes:
        """The model as schedule types see it."""
        return FlowTimes(self._times().float(), self.shift, self.even)


@dataclass(frozen=True, eq=False)
class FlowTimes:
    """A flow for the schedule types: their "sigmas" are the flow times s themselves, 0 to 1."""

    sigmas: Tensor
    """[timesteps] float32 on the CPU, ascending."""
    shift: float
    even: bool
    zero_terminal_snr: bool = False

    @property
    def sigma_min(self) -> float:
        """The lowest trained time."""
        return float(self.sigmas[0])

    @property
    def sigma_max(self) -> float:
        """1: nothing but noise."""
        return float(self.sigmas[-1])

    def sigma_to_t(self, time: Tensor) -> Tensor:
        """In ``timesteps``-ths.

        Not the inverse of ``t_to_sigma``, as in the reference implementation of SD3 and in
        diffusers: the spread runs down to the lowest shifted time and is then shifted (again).
        """
        return time * len(self.sigmas)

    def t_to_sigma(self, t: Tensor) -> Tensor:
        """The times after the shift."""
        return shifted(t / len(self.sigmas), self.shift)

    def automatic(self, n: int) -> Tensor:
        """The schedule of the model's makers: ``n`` times, then 0."""
        top, count = float(len(self.sigmas)), float(len(self.sigmas)) * self.sigma_min
        last = top / n if self.even else count
        times = self.t_to_sigma(torch.linspace(top, last, n, dtype=torch.float64)).float()
        return torch.cat([times, times.new_zeros(1)])


def shifted(time: Tensor, shift: float) -> Tensor:
    """Esser et al. (2024), equation 23: times 0 to 1 moved towards 1 for ``shift`` above 1."""
    return shift * time / (1 + (shift - 1) * time)


def to_sigma(time: Tensor) -> Tensor:
    """``s / (1 - s)``, at most ``TERMINAL``."""
    return (time / (1 - time).clamp(min=1e-12)).clamp(max=TERMINAL)


def to_time(sigma: float) -> float:
    """The flow time of a sigma; exactly 1 where only noise is left."""
    return 1.0 if sigma >= TERMINAL / 2 else sigma / (1 + sigma)


def _dynamic(config: Mapping[str, Any]) -> DynamicShift:
    kind = str(config.get("time_shift_type") or "exponential")
    if kind not in ("exponential", "linear"):
        raise ValueError(f"time_shift_type {kind!r} is not one of exponential, linear")
    base_tokens = int(config.get("base_image_seq_len") or 256)
    max_tokens = int(config.get("max_image_seq_len") or 4096)
    if not 0 < base_tokens < max_tokens:
        raise ValueError(f"max_image_seq_len is {max_tokens}, base_image_seq_len {base_tokens}")
    return DynamicShift(
        base_tokens=base_tokens,
        max_tokens=max_tokens,
        base=float(config.get("base_shift") or 0.5),
        max=float(config.get("max_shift") or 1.15),
        exponential=kind == "exponential",
    )
