"""Euler and Heun steps of Karras et al. (2022), plain, with churn, ancestral, and with restarts."""

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


class Churn:
    """Stochastic churn: raise the noise level before each step (algorithm 2, lines 4-6)."""

    def __init__(
        self,
        steps: int,
        noise_sampler: NoiseSampler,
        s_churn: float = 0.0,
        s_tmin: float = 0.0,
        s_tmax: float = math.inf,
        s_noise: float = 1.0,
    ) -> None:
        self.gamma = min(s_churn / max(steps, 1), math.sqrt(2) - 1)
        self.low, self.high, self.s_noise = s_tmin, s_tmax, s_noise
        self.noise_sampler = noise_sampler

    def __call__(self, x: Tensor, sigma: float, sigma_next: float) -> tuple[Tensor, float]:
        """``x`` and its noise level after the churn."""
        if not self.gamma:
            return x, sigma
        # Drawn at every step, used or not: the limits must not shift the noise of later steps.
        noise = self.noise_sampler(sigma, sigma_next)
        if not self.low <= sigma <= self.high:
            return x, sigma
        sigma_hat = sigma * (1 + self.gamma)
        amount = self.s_noise * math.sqrt(sigma_hat**2 - sigma**2)
        return torch.add(x, noise, alpha=amount), sigma_hat


def sample_euler(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    noise_sampler: NoiseSampler,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = math.inf,
    s_noise: float = 1.0,
    resume: Resume = BEGINNING,
) -> Iterator[SamplerStep]:
    """Algorithm 2 of Karras et al. (2022) without its second-order correction."""
    levels = as_floats(sigmas)
    churn = Churn(len(levels) - 1, noise_sampler, s_churn, s_tmin, s_tmax, s_noise)
    for i in range(resume.index, len(levels) - 1):
        sigma, sigma_next = levels[i], levels[i + 1]
        x, sigma_hat = churn(x, sigma, sigma_next)
        denoised = denoiser(x, at(sigma_hat, x))
        x = toward(denoised, x, sigma_next / sigma_hat)
        yield SamplerStep(i, sigma, sigma_next, x, denoised)


def sample_euler_ancestral(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    noise_sampler: NoiseSampler,
    eta: float = 1.0,
    s_noise: float = 1.0,
    resume: Resume = BEGINNING,
) -> Iterator[SamplerStep]:
    """Ancestral sampling with Euler steps. On DDIM's timesteps this is DDIM with the same eta."""
    levels = as_floats(sigmas)
    for i in range(resume.index, len(levels) - 1):
        sigma, sigma_next = levels[i], levels[i + 1]
        sigma_down, sigma_up = ancestral_step(sigma, sigma_next, eta)
        denoised = denoiser(x, at(sigma, x))
        x = toward(denoised, x, sigma_down / sigma)
        if sigma_up:
            x = x.add_(noise_sampler(sigma, sigma_next), alpha=sigma_up * s_noise)
        yield SamplerStep(i, sigma, sigma_next, x, denoised)


def sample_heun(
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
    """Algorithm 2 of Karras et al. (2022): Heun's second-order method."""
    levels = as_floats(sigmas)
    churn = Churn(len(levels) - 1, noise_sampler, s_churn, s_tmin, s_tmax, s_noise)
    for i in range(resume.index, len(levels) - 1):
        sigma, sigma_next = levels[i], levels[i + 1]
        x, sigma_hat = churn(x, sigma, sigma_next)
        x, denoised = heun_step(denoiser, x, sigma_hat, sigma_next, first_order_above)
        yield SamplerStep(i, sigma, sigma_next, x, denoised)


def heun_step(
    denoiser: Denoiser,
    x: Tensor,
    sigma: float,
    sigma_next: float,
    first_order_above: float = math.inf,
) -> tuple[Tensor, Tensor]:
    """One Heun step: the new ``x``, and the prediction at its beginning.

    Euler's step instead when it ends at 0, or begins above ``first_order_above``: from pure noise
    the mean of two slopes that lie orders of magnitude apart is worse than the first alone.
    """
    denoised = denoiser(x, at(sigma, x))
    euler = toward(denoised, x, sigma_next / sigma)
    if sigma_next == 0 or sigma > first_order_above:
        return euler, denoised
    slope = (x - denoised) / sigma
    slope_next = (euler - denoiser(euler, at(sigma_next, x))) / sigma_next
    return torch.add(x, slope + slope_next, alpha=(sigma_next - sigma) / 2), denoised


def sample_restart(
    denoiser: Denoiser,
    x: Tensor,
    pairs: Sequence[tuple[float, float]],
    *,
    noise_sampler: NoiseSampler,
    s_noise: float = 1.0,
    first_order_above: float = math.inf,
    resume: Resume = BEGINNING,
) -> Iterator[SamplerStep]:
    """Restart sampling (Xu et al. 2023): Heun steps that go back up and down again.

    Args:
        pairs: noise levels (before, after) of every step, see ``schedules.restart_pairs``. Where a
            step begins above the end of the one before it, noise is added to get there.
    """
    for i in range(resume.index, len(pairs)):
        sigma, sigma_next = pairs[i]
        reached = pairs[i - 1][1] if i else sigma
        if reached < sigma:
            amount = s_noise * math.sqrt(sigma**2 - reached**2)
            x = torch.add(x, noise_sampler(reached, sigma), alpha=amount)
        x, denoised = heun_step(denoiser, x, sigma, sigma_next, first_order_above)
        yield SamplerStep(i, sigma, sigma_next, x, denoised)


def sample_lcm(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    noise_sampler: NoiseSampler,
    timestep_scaling: float = 10.0,
    timestep: Sequence[float],
    resume: Resume = BEGINNING,
) -> Iterator[SamplerStep]:
    """Multistep consistency sampling of latent consistency models (Luo et al. 2023, algorithm 3).

    Args:
        timestep: the model's timestep of every sigma, for the boundary condition c_skip, c_out
            (sigma_data = 0.5).
        timestep_scaling: factor on that timestep.
    """
    levels = as_floats(sigmas)
    for i in range(resume.index, len(levels) - 1):
        sigma, sigma_next = levels[i], levels[i + 1]
        scaled = timestep[i] * timestep_scaling
        c_skip = 0.25 / (scaled**2 + 0.25)
        c_out = scaled / math.sqrt(scaled**2 + 0.25)
        denoised = denoiser(x, at(sigma, x)) * c_out + x * c_skip
        x = denoised
        if sigma_next > 0:
            x = torch.add(x, noise_sampler(sigma, sigma_next), alpha=sigma_next)
        yield SamplerStep(i, sigma, sigma_next, x, denoised)
