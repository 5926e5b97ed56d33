"""DDIM under CFG++ guidance; plain DDIM is ``sample_euler_ancestral`` on DDIM's timesteps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from modules.engine.sampling.step import (
    BEGINNING,
    DenoiserWithUncond,
    NoiseSampler,
    Resume,
    SamplerStep,
    ancestral_step,
    as_floats,
    at,
)


def sample_ddim_cfgpp(
    denoiser: DenoiserWithUncond,
    x: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    noise_sampler: NoiseSampler,
    eta: float = 0.0,
    resume: Resume = BEGINNING,
) -> Iterator[SamplerStep]:
    """CFG++ (Chung et al. 2024, algorithm 2): renoise with the unconditional noise prediction.

    The denoiser's guidance scale is the CFG scale divided by 12.5 (``plan.guidance_factor``), and
    after a call it shows ``uncond_denoised``.
    """
    levels = as_floats(sigmas)
    for i in range(resume.index, len(levels) - 1):
        sigma, sigma_next = levels[i], levels[i + 1]
        sigma_down, sigma_up = ancestral_step(sigma, sigma_next, eta)
        denoised = denoiser(x, at(sigma, x))
        noise = (x - denoiser.uncond_denoised) / sigma
        x = torch.add(denoised, noise, alpha=sigma_down)
        if sigma_up:
            x = x.add_(noise_sampler(sigma, sigma_next), alpha=sigma_up)
        yield SamplerStep(i, sigma, sigma_next, x, denoised)


def ddim_timesteps(steps: int, timesteps: int = 1000) -> list[int]:
    """Ascending timesteps of A1111's DDIM and PLMS: every ``timesteps // steps``-th, plus 1.

    The samplers walk from the last to the first of them, so ``steps`` of them make ``steps - 1``
    steps, and where ``steps`` does not divide ``timesteps`` there are a few more.
    """
    stride = max(timesteps // max(steps, 1), 1)
    return [min(t + 1, timesteps - 1) for t in range(0, timesteps, stride)]


def spaced_timesteps(steps: int, timesteps: int, spacing: str, offset: int) -> list[int]:
    """Descending timesteps as diffusers' schedulers spread them; each is evaluated once.

    Lin et al. (2023), table 2: ``leading``, ``trailing`` or ``linspace``.

    Raises:
        ValueError: unknown spacing.
    """
    steps = max(min(steps, timesteps), 1)
    if spacing == "leading":
        stride = timesteps // steps
        return [min(i * stride + offset, timesteps - 1) for i in reversed(range(steps))]
    if spacing == "trailing":
        return [round(timesteps - i * timesteps / steps) - 1 for i in range(steps)]
    if spacing == "linspace":
        last = timesteps - 1
        return [round(last - i * last / max(steps - 1, 1)) for i in range(steps)]
    raise ValueError(f"timestep spacing {spacing!r} is not leading, trailing or linspace")


def vp_scale(sigma: float) -> float:
    """Factor from ``x0 + sigma * noise`` to the variance preserving latents of the same level."""
    return 1 / math.sqrt(1 + sigma**2)
