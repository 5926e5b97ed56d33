"""DPM-Solver++ with noise: single step 2S a and SDE, multi-step 2M SDE and 3M SDE.

Time is t = -log(sigma), h the length of a step in it; lerp(D, x, exp(-h)) is the exact solution of
the probability flow for a constant prediction D (Lu et al. 2022b, equation 8).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

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


def sample_dpmpp_2s_ancestral(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    noise_sampler: NoiseSampler,
    eta: float = 1.0,
    s_noise: float = 1.0,
    resume: Resume = BEGINNING,
) -> Iterator[SamplerStep]:
    """Ancestral sampling with DPM-Solver++(2S) steps (Lu et al. 2022b, algorithm 1, r = 1/2)."""
    levels = as_floats(sigmas)
    for i in range(resume.index, len(levels) - 1):
        sigma, sigma_next = levels[i], levels[i + 1]
        sigma_down, sigma_up = ancestral_step(sigma, sigma_next, eta)
        denoised = denoiser(x, at(sigma, x))
        target = denoised
        if sigma_down > 0:
            middle = math.sqrt(sigma * sigma_down)
            halfway = toward(denoised, x, middle / sigma)
            target = denoiser(halfway, at(middle, x))
        x = toward(target, x, sigma_down / sigma)
        if sigma_up:
            x = x.add_(noise_sampler(sigma, sigma_next), alpha=sigma_up * s_noise)
        yield SamplerStep(i, sigma, sigma_next, x, denoised)


def sample_dpmpp_sde(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    noise_sampler: NoiseSampler,
    eta: float = 1.0,
    s_noise: float = 1.0,
    resume: Resume = BEGINNING,
) -> Iterator[SamplerStep]:
    """DPM-Solver++ (stochastic), second order, with r = 1/2: noise also at the midpoint."""
    levels = as_floats(sigmas)
    for i in range(resume.index, len(levels) - 1):
        sigma, sigma_next = levels[i], levels[i + 1]
        denoised = denoiser(x, at(sigma, x))
        target = denoised
        if sigma_next > 0:
            middle = _middle(sigma, sigma_next)
            halfway = _descend(
                x, denoised, sigma, middle, eta=eta, s_noise=s_noise, noise_sampler=noise_sampler
            )
            # r = 1/2 puts the whole weight on the prediction at the midpoint.
            target = denoiser(halfway, at(middle, x))
        x = _descend(
            x, target, sigma, sigma_next, eta=eta, s_noise=s_noise, noise_sampler=noise_sampler
        )
        yield SamplerStep(i, sigma, sigma_next, x, denoised)


def _descend(
    x: Tensor,
    denoised: Tensor,
    sigma: float,
    sigma_next: float,
    *,
    eta: float,
    s_noise: float,
    noise_sampler: NoiseSampler,
) -> Tensor:
    sigma_down, sigma_up = ancestral_step(sigma, sigma_next, eta)
    x = toward(denoised, x, sigma_down / sigma)
    if sigma_up:
        x = x.add_(noise_sampler(sigma, sigma_next), alpha=sigma_up * s_noise)
    return x


def _middle(sigma: float, sigma_next: float) -> float:
    # In float32: a Brownian path is rough, and the time at which it is asked for decides its value.
    start, end = torch.tensor([sigma, sigma_next]).log().neg()
    return float((start + (end - start) * 0.5).neg().exp())


def sample_dpmpp_2m_sde(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    noise_sampler: NoiseSampler,
    eta: float = 1.0,
    s_noise: float = 1.0,
    solver_type: str = "midpoint",
    resume: Resume = BEGINNING,
) -> Iterator[SamplerStep]:
    """DPM-Solver++(2M) SDE, with the midpoint or Heun's rule for the second-order term.

    Raises:
        ValueError: unknown ``solver_type``.
    """
    if solver_type not in ("midpoint", "heun"):
        raise ValueError(f"solver_type {solver_type!r} is not 'midpoint' or 'heun'")
    levels = as_floats(sigmas)
    previous = resume.history
    for i in range(resume.index, len(levels) - 1):
        sigma, sigma_next = levels[i], levels[i + 1]
        denoised = denoiser(x, at(sigma, x))
        if sigma_next == 0:
            x = denoised
        else:
            h = math.log(sigma / sigma_next)
            decay = h * (1 + eta)
            weight = -math.expm1(-decay)
            x = toward(denoised, x, math.exp(-decay))
            if previous:
                ratio = math.log(levels[i - 1] / sigma) / h
                second = 0.5 * weight if solver_type == "midpoint" else 1 - weight / decay
                x = x.add_(denoised - previous[0], alpha=second / ratio)
            x = _add_noise(x, sigma, sigma_next, h, eta, s_noise, noise_sampler)
        previous = (denoised,)
        yield SamplerStep(i, sigma, sigma_next, x, denoised, previous)


def sample_dpmpp_3m_sde(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    noise_sampler: NoiseSampler,
    eta: float = 1.0,
    s_noise: float = 1.0,
    resume: Resume = BEGINNING,
) -> Iterator[SamplerStep]:
    """DPM-Solver++(3M) SDE: divided differences of the last three predictions."""
    levels = as_floats(sigmas)
    older = resume.history
    for i in range(resume.index, len(levels) - 1):
        sigma, sigma_next = levels[i], levels[i + 1]
        denoised = denoiser(x, at(sigma, x))
        if sigma_next == 0:
            x = denoised
        else:
            h = math.log(sigma / sigma_next)
            decay = h * (1 + eta)
            phi_2 = math.expm1(-decay) / decay + 1
            x = toward(denoised, x, math.exp(-decay))
            if older:
                r0 = math.log(levels[i - 1] / sigma) / h
                first = (denoised - older[0]) / r0
            if len(older) == 1:
                x = x.add_(first, alpha=phi_2)
            elif len(older) == 2:
                r1 = math.log(levels[i - 2] / levels[i - 1]) / h
                curvature = (first - (older[0] - older[1]) / r1) / (r0 + r1)
                phi_3 = phi_2 / decay - 0.5
                x = x.add_(first, alpha=phi_2).add_(curvature, alpha=phi_2 * r0 - phi_3)
            x = _add_noise(x, sigma, sigma_next, h, eta, s_noise, noise_sampler)
        older = (denoised, *older)[:2]
        yield SamplerStep(i, sigma, sigma_next, x, denoised, older)


def _add_noise(
    x: Tensor,
    sigma: float,
    sigma_next: float,
    h: float,
    eta: float,
    s_noise: float,
    noise_sampler: NoiseSampler,
) -> Tensor:
    if not eta:
        return x
    amount = sigma_next * math.sqrt(-math.expm1(-2 * h * eta)) * s_noise
    return x.add_(noise_sampler(sigma, sigma_next), alpha=amount)
