"""Deterministic multi-step methods: LMS, PLMS and DPM-Solver++(2M)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from modules.engine.sampling.step import (
    BEGINNING,
    Denoiser,
    Resume,
    SamplerStep,
    as_floats,
    at,
    toward,
)

# Adams-Bashforth coefficients for equal steps, newest slope first, by order.
ADAMS_BASHFORTH = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


def sample_lms(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    order: int = 4,
    resume: Resume = BEGINNING,
) -> Iterator[SamplerStep]:
    """Linear multi-step method: integrate the polynomial through the last ``order`` slopes."""
    levels = as_floats(sigmas)
    slopes = resume.history
    for i in range(resume.index, len(levels) - 1):
        sigma, sigma_next = levels[i], levels[i + 1]
        denoised = denoiser(x, at(sigma, x))
        slopes = ((x - denoised) / sigma, *slopes)[:order]
        nodes = levels[max(i + 1 - len(slopes), 0) : i + 1][::-1]
        x = x + _weighted(slopes, lagrange_integrals(nodes, sigma, sigma_next))
        yield SamplerStep(i, sigma, sigma_next, x, denoised, slopes[: order - 1])


def lagrange_integrals(nodes: Sequence[float], start: float, end: float) -> list[float]:
    """Integrals from ``start`` to ``end`` of the Lagrange polynomials over at most 4 ``nodes``.

    Gauss-Legendre quadrature with two points, which is exact for polynomials up to degree 3.
    """
    centre, half = (start + end) / 2, (end - start) / 2
    points = (centre - half / math.sqrt(3), centre + half / math.sqrt(3))
    return [
        half * sum(math.prod((p - m) / (node - m) for m in nodes if m != node) for p in points)
        for node in nodes
    ]


def sample_plms(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    first_order_above: float = math.inf,
    resume: Resume = BEGINNING,
) -> Iterator[SamplerStep]:
    """Pseudo linear multi-step method (Liu et al. 2022, PNDM without its Runge-Kutta start).

    The first step is the pseudo improved Euler method and calls the denoiser twice, unless it ends
    at 0 or begins above ``first_order_above``. In terms of sigma the transfer of the paper's
    equation 11 is x + (sigma_next - sigma) * noise.
    """
    levels = as_floats(sigmas)
    older = resume.history
    for i in range(resume.index, len(levels) - 1):
        sigma, sigma_next = levels[i], levels[i + 1]
        denoised = denoiser(x, at(sigma, x))
        noise = (x - denoised) / sigma
        if not older and sigma_next > 0 and sigma <= first_order_above:
            euler = toward(denoised, x, sigma_next / sigma)
            noise_next = (euler - denoiser(euler, at(sigma_next, x))) / sigma_next
            combined = (noise + noise_next) / 2
        else:
            combined = _weighted((noise, *older), ADAMS_BASHFORTH[min(len(older), 3)])
        x = torch.add(x, combined, alpha=sigma_next - sigma)
        older = (noise, *older)[:3]
        yield SamplerStep(i, sigma, sigma_next, x, denoised, older)


def sample_dpmpp_2m(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    resume: Resume = BEGINNING,
) -> Iterator[SamplerStep]:
    """DPM-Solver++(2M) (Lu et al. 2022b, algorithm 2)."""
    levels = as_floats(sigmas)
    previous = resume.history
    for i in range(resume.index, len(levels) - 1):
        sigma, sigma_next = levels[i], levels[i + 1]
        denoised = denoiser(x, at(sigma, x))
        target = denoised
        if previous and sigma_next > 0:
            ratio = math.log(levels[i - 1] / sigma) / math.log(sigma / sigma_next)
            target = torch.lerp(previous[0], denoised, 1 + 1 / (2 * ratio))
        x = toward(target, x, sigma_next / sigma)
        previous = (denoised,)
        yield SamplerStep(i, sigma, sigma_next, x, denoised, previous)


def _weighted(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    total = tensors[0] * weights[0]
    for tensor, weight in zip(tensors[1:], weights[1:], strict=True):
        total.add_(tensor, alpha=weight)
    return total
