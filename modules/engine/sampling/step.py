"""What all samplers share: the step they yield, the callables they take, the ancestral split.

A sampler is a generator ``sample_<name>(denoiser, x, sigmas, ...)``. Scalars are Python floats
(float64), so a step costs a handful of tensor operations and no device synchronisation. A sampler
never changes a tensor in place that it was given or has yielded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

NoiseSampler = Callable[[float, float], Tensor]
"""``noise(sigma, sigma_next)``: unit noise [batch, channels, height, width] for that interval."""


class Denoiser(Protocol):
    """The model behind guidance: noisy latents in, denoised latents out."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Denoise ``x`` [batch, channels, height, width] at noise levels ``sigma`` [batch]."""
        ...


class DenoiserWithUncond(Denoiser, Protocol):
    """A denoiser that also shows the prediction for the negative prompt of its last call."""

    uncond_denoised: Tensor
    """[batch, channels, height, width]; the positive prediction when the negative was skipped."""


@dataclass(frozen=True)
class SamplerStep:
    """A step that has been taken."""

    index: int
    """Number of the step, from 0."""
    sigma: float
    """Noise level before the step."""
    sigma_next: float
    """Noise level after the step."""
    x: Tensor
    """Latents after the step, [batch, channels, height, width]."""
    denoised: Tensor
    """Prediction of the result that the step started from; what a preview shows."""
    history: tuple[Tensor, ...] = ()
    """What a multi-step method remembers. With ``index`` and ``x`` this is the sampler's whole
    state: pass both to ``SamplingPlan.run`` to go on later."""
    fraction: float | None = None
    """Share of the way that is done, when steps are not known in advance (DPM adaptive)."""


@dataclass(frozen=True)
class Resume:
    """Where to go on: the first step to take, and what the method remembers."""

    index: int = 0
    history: tuple[Tensor, ...] = ()


BEGINNING = Resume()


def at(sigma: float, x: Tensor) -> Tensor:
    """``sigma`` for every image of the batch ``x``: [batch], float32 (float64 for such ``x``)."""
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    return torch.full((x.shape[0],), sigma, dtype=dtype, device=x.device)


def as_floats(sigmas: Tensor | Sequence[float]) -> list[float]:
    """Sigmas as Python floats."""
    return sigmas.tolist() if isinstance(sigmas, Tensor) else [float(sigma) for sigma in sigmas]


def ancestral_step(sigma: float, sigma_next: float, eta: float) -> tuple[float, float]:
    """Split the way to ``sigma_next``: go down to ``sigma_down``, then add ``sigma_up`` noise.

    DDIM's variance (Song et al. 2020, equation 16) in terms of sigma; ``eta`` 0 is deterministic.
    """
    if not eta or sigma_next == 0:
        return sigma_next, 0.0
    variance = sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2
    sigma_up = min(sigma_next, eta * math.sqrt(max(variance, 0.0)))
    return math.sqrt(max(sigma_next**2 - sigma_up**2, 0.0)), sigma_up


def toward(denoised: Tensor, x: Tensor, ratio: float) -> Tensor:
    """``x`` carried along the line to ``denoised`` until ``ratio = sigma_next / sigma`` is left.

    Euler's step x + (x - denoised) / sigma * (sigma_next - sigma), and at the same time the exact
    solution for a constant ``denoised`` (the exponential integrator of DPM-Solver++).
    """
    return torch.lerp(denoised, x, ratio)
