"""DPM-Solver-2 (Lu et al. 2022) as a variant of Heun's step: a midpoint in log sigma."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from modules.engine.sampling.solvers.euler import Churn
from modules.engine.sampling.step import (
    BEGINNING,
    Denoiser,
    NoiseSampler,
    Resume,
    SamplerStep,
    ancestral_step,
    as_floats,
    at,
    toward,
)


def sample_dpm_2(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    noise_sampler: NoiseSampler,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = math.inf,
    s_noise: float = 1.0,
    first_order_above: float = math.inf,
    resume: Resume = BEGINNING,
) -> Iterator[SamplerStep]:
    """DPM2: the slope at the geometric mean of both noise levels carries the whole step."""
    levels = as_floats(sigmas)
    churn = Churn(len(levels) - 1, noise_sampler, s_churn, s_tmin, s_tmax, s_noise)
    for i in range(resume.index, len(levels) - 1):
        sigma, sigma_next = levels[i], levels[i + 1]
        x, sigma_hat = churn(x, sigma, sigma_next)
        x, denoised = midpoint_step(denoiser, x, sigma_hat, sigma_next, first_order_above)
        yield SamplerStep(i, sigma, sigma_next, x, denoised)


def sample_dpm_2_ancestral(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    noise_sampler: NoiseSampler,
    eta: float = 1.0,
    s_noise: float = 1.0,
    first_order_above: float = math.inf,
    resume: Resume = BEGINNING,
) -> Iterator[SamplerStep]:
    """DPM2 a: DPM2 down to sigma_down, then fresh noise."""
    levels = as_floats(sigmas)
    for i in range(resume.index, len(levels) - 1):
        sigma, sigma_next = levels[i], levels[i + 1]
        sigma_down, sigma_up = ancestral_step(sigma, sigma_next, eta)
        x, denoised = midpoint_step(denoiser, x, sigma, sigma_down, first_order_above)
        if sigma_up:
            x = x.add_(noise_sampler(sigma, sigma_next), alpha=sigma_up * s_noise)
        yield SamplerStep(i, sigma, sigma_next, x, denoised)


def midpoint_step(
    denoiser: Denoiser, x: Tensor, sigma: float, sigma_next: float, first_order_above: float
) -> tuple[Tensor, Tensor]:
    """One DPM-Solver-2 step: the new ``x``, and the prediction at its beginning.

    Euler's step instead when it ends at 0 or begins above ``first_order_above``.
    """
    denoised = denoiser(x, at(sigma, x))
    if sigma_next == 0 or sigma > first_order_above:
        return toward(denoised, x, sigma_next / sigma), denoised
    middle = math.sqrt(sigma * sigma_next)
    halfway = toward(denoised, x, middle / sigma)
    step = halfway - denoiser(halfway, at(middle, x))
    return torch.add(x, step, alpha=(sigma_next - sigma) / middle), denoised
