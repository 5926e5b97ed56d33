"""DPM-Solver (Lu et al. 2022), singlestep: "fast" with mixed orders, and adaptive."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.engine.sampling.step import (
    BEGINNING,
    Denoiser,
    NoiseSampler,
    Resume,
    SamplerStep,
    ancestral_step,
    at,
)


def fast_levels(sigma_max: float, sigma_min: float, calls: int) -> tuple[list[float], list[int]]:
    """Noise levels, even in log sigma, and the order of every step, for ``calls`` calls."""
    outer = calls // 3 + 1
    rest = calls % 3
    orders = [3] * (outer - 1) + [rest] if rest else [3] * (outer - 2) + [2, 1]
    start, end = math.log(sigma_max), math.log(sigma_min)
    levels = [math.exp(start + (end - start) * i / outer) for i in range(outer + 1)]
    return levels, orders


def sample_dpm_fast(
    denoiser: Denoiser,
    x: Tensor,
    levels: Sequence[float],
    *,
    orders: Sequence[int],
    noise_sampler: NoiseSampler,
    eta: float = 0.0,
    s_noise: float = 1.0,
    resume: Resume = BEGINNING,
) -> Iterator[SamplerStep]:
    """DPM-Solver-fast: from ``levels[i]`` to ``levels[i + 1]`` with order ``orders[i]``."""
    for i in range(resume.index, len(orders)):
        sigma, sigma_next = levels[i], levels[i + 1]
        down, up = _split(sigma, sigma_next, levels[-1], eta)
        denoised = denoiser(x, at(sigma, x))
        noise = (x - denoised) / sigma
        x = _single_step(denoiser, x, noise, sigma, down, orders[i])
        if up:
            x = x.add_(noise_sampler(sigma, sigma_next), alpha=up * s_noise)
        yield SamplerStep(i, sigma, sigma_next, x, denoised)


def _single_step(
    denoiser: Denoiser, x: Tensor, noise: Tensor, sigma: float, sigma_next: float, order: int
) -> Tensor:
    """DPM-Solver-1, -2 (r1 = 1/2) or -3 (r1 = 1/3, r2 = 2/3): algorithms 1 and 2 of the paper."""
    h = math.log(sigma / sigma_next)
    moved = torch.add(x, noise, alpha=sigma_next - sigma)
    if order == 1:
        return moved
    r1 = 1 / 2 if order == 2 else 1 / 3
    sigma_1 = sigma * math.exp(-r1 * h)
    u1 = torch.add(x, noise, alpha=sigma_1 - sigma)
    difference = (u1 - denoiser(u1, at(sigma_1, x))) / sigma_1 - noise
    if order == 2:
        return moved.add_(difference, alpha=(sigma_next - sigma) / (2 * r1))
    r2 = 2 / 3
    sigma_2 = sigma * math.exp(-r2 * h)
    u2 = torch.add(x, noise, alpha=sigma_2 - sigma)
    u2 = u2.add_(difference, alpha=-sigma_2 * (r2 / r1) * _phi_2(r2 * h))
    difference = (u2 - denoiser(u2, at(sigma_2, x))) / sigma_2 - noise
    return moved.add_(difference, alpha=-sigma_next / r2 * _phi_2(h))


def _phi_2(h: float) -> float:
    """(exp(h) - 1) / h - 1."""
    return math.expm1(h) / h - 1 if h else 0.0


def _split(sigma: float, sigma_next: float, sigma_min: float, eta: float) -> tuple[float, float]:
    """``ancestral_step`` that does not go below the last noise level."""
    if not eta:
        return sigma_next, 0.0
    down = max(ancestral_step(sigma, sigma_next, eta)[0], sigma_min)
    return down, math.sqrt(max(sigma_next**2 - down**2, 0.0))


@dataclass
class StepSize:
    """PID control of one image's step length ``h`` in -log(sigma) (Söderlind 2003)."""

    h: float
    order: float
    p: float = 0.0
    i: float = 1.0
    d: float = 0.0
    accept_safety: float = 0.81
    errors: tuple[float, float, float] | None = None

    def propose(self, error: float) -> bool:
        """Whether a step with this error counts; sets ``h`` for the next attempt either way."""
        inverse = 1 / (error + 1e-8)
        _, last, before = self.errors or (inverse, inverse, inverse)
        factor = inverse ** ((self.p + self.i + self.d) / self.order)
        factor *= last ** (-(self.p + 2 * self.d) / self.order) * before ** (self.d / self.order)
        factor = 1 + math.atan(factor - 1)
        accepted = factor >= self.accept_safety
        self.errors = (inverse, inverse, last) if accepted else (inverse, last, before)
        self.h *= factor
        return accepted


def sample_dpm_adaptive(
    denoiser: Denoiser,
    x: Tensor,
    sigma_max: float,
    sigma_min: float,
    *,
    image_noise: Callable[[Sequence[int]], Tensor],
    rtol: float = 0.05,
    atol: float = 0.0078,
    h_init: float = 0.05,
    eta: float = 0.0,
    s_noise: float = 1.0,
    resume: Resume = BEGINNING,
) -> Iterator[SamplerStep]:
    """DPM-Solver-23 with adaptive steps (algorithm 5 of the paper).

    Every image has its own steps, and images that have arrived wait for the others. A denoiser that
    takes a different sigma for each image says so with ``takes_sigmas = True``; any other is asked
    once per sigma. A step that gives NaN ends the sampling, since it cannot be judged.

    Args:
        image_noise: unit noise [images, ...] for the listed images of the batch.
    """
    denoiser = denoiser if getattr(denoiser, "takes_sigmas", False) else _OneSigma(denoiser)
    count = x.shape[0]
    start, end = -math.log(sigma_max), -math.log(sigma_min)
    times = [start] * count
    sizes = [StepSize(h_init, 1.5 if eta else 3) for _ in range(count)]
    older = x
    if resume.history:
        older, numbers = resume.history
        times, sizes = _unpack(numbers, 1.5 if eta else 3)

    i = resume.index
    while min(times) < end - 1e-5:
        moving = [k for k in range(count) if times[k] < end - 1e-5]
        targets = [
            min(end, times[k] + sizes[k].h) if k in moving else times[k] for k in range(count)
        ]
        sigma = [math.exp(-t) for t in times]
        split = [
            _split(sigma[k], math.exp(-targets[k]), sigma_min, eta)
            if k in moving
            else (sigma[k], 0.0)
            for k in range(count)
        ]
        low, high, denoised = _step_23(denoiser, x, sigma, [down for down, _ in split])
        errors = _errors(low, high, older, rtol, atol)
        if not all(math.isfinite(error) for error in errors):
            yield SamplerStep(i, max(sigma), max(sigma), high, denoised, fraction=1.0)
            return
        accepted = [k for k in moving if sizes[k].propose(errors[k])]
        if accepted:
            x, older = _replace(x, high, accepted), _replace(older, low, accepted)
            noisy = [k for k in accepted if eta]
            if noisy:
                amount = _column([split[k][1] * s_noise for k in noisy], x)
                x[noisy] += amount * image_noise(noisy)
            for k in accepted:
                times[k] = targets[k]
        fraction = (min(times) - start) / (end - start)
        after = math.exp(-min(times))
        yield SamplerStep(i, max(sigma), after, x, denoised, (older, _pack(times, sizes)), fraction)
        i += 1


class _OneSigma:
    """Asks a denoiser that takes one sigma for the whole batch, as often as sigmas differ."""

    def __init__(self, denoiser: Denoiser) -> None:
        self._denoiser = denoiser

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Denoise each image at its own noise level."""
        denoised: Tensor | None = None
        for level in sigma.unique().tolist():
            answer = self._denoiser(x, at(level, x))
            same = (sigma == level).view(-1, *([1] * (x.ndim - 1)))
            denoised = answer if denoised is None else torch.where(same, answer, denoised)
        return x if denoised is None else denoised


def _step_23(
    denoiser: Denoiser, x: Tensor, sigma: Sequence[float], sigma_next: Sequence[float]
) -> tuple[Tensor, Tensor, Tensor]:
    """DPM-Solver-2 and -3 over the same calls: low order, high order, first prediction."""
    pairs = list(zip(sigma, sigma_next, strict=True))
    lengths = [math.log(a / b) for a, b in pairs]
    sigma_1 = [s * math.exp(-h / 3) for s, h in zip(sigma, lengths, strict=True)]
    sigma_2 = [s * math.exp(-h * 2 / 3) for s, h in zip(sigma, lengths, strict=True)]
    level, level_1, level_2 = (_column(values, x) for values in (sigma, sigma_1, sigma_2))
    down = _column([b - a for a, b in pairs], x)

    denoised = denoiser(x, level.flatten())
    noise = (x - denoised) / level
    u1 = x + (level_1 - level) * noise
    difference_1 = (u1 - denoiser(u1, level_1.flatten())) / level_1 - noise
    bend = _column([-s * 2 * _phi_2(h * 2 / 3) for s, h in zip(sigma_2, lengths, strict=True)], x)
    u2 = x + (level_2 - level) * noise + bend * difference_1
    difference_2 = (u2 - denoiser(u2, level_2.flatten())) / level_2 - noise
    moved = x + down * noise
    low = moved + 1.5 * down * difference_1
    last = _column([-b * 1.5 * _phi_2(h) for (_, b), h in zip(pairs, lengths, strict=True)], x)
    return low, moved + last * difference_2, denoised


def _errors(low: Tensor, high: Tensor, older: Tensor, rtol: float, atol: float) -> list[float]:
    scale = (torch.maximum(low.abs(), older.abs()) * rtol).clamp(min=atol)
    return ((low - high) / scale).flatten(1).pow(2).mean(1).sqrt().tolist()


def _replace(x: Tensor, other: Tensor, images: Sequence[int]) -> Tensor:
    x = x.clone()
    x[list(images)] = other[list(images)]
    return x


def _column(values: Sequence[float], x: Tensor) -> Tensor:
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    return torch.tensor(values, dtype=dtype, device=x.device).view(-1, *([1] * (x.ndim - 1)))


def _pack(times: Sequence[float], sizes: Sequence[StepSize]) -> Tensor:
    rows = [[t, s.h, *(s.errors or (0.0,) * 3)] for t, s in zip(times, sizes, strict=True)]
    return torch.tensor(rows, dtype=torch.float64)


def _unpack(numbers: Tensor, order: float) -> tuple[list[float], list[StepSize]]:
    rows = numbers.tolist()
    sizes = [StepSize(h, order, errors=(a, b, c) if a else None) for _, h, a, b, c in rows]
    return [row[0] for row in rows], sizes
