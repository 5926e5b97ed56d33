"""UniPC (Zhao et al. 2023): a predictor and a corrector of any order that share model calls.

The paper's data prediction form, written for ``x = x0 + sigma * noise`` with t = -log(sigma): the
state moves along the exponential integrator's line plus a sum of differences of predictions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
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

VARIANTS = ("bh1", "bh2", "vary_coeff")


def sample_unipc(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor | Sequence[float],
    *,
    order: int = 3,
    variant: str = "bh1",
    lower_order_final: bool = True,
    resume: Resume = BEGINNING,
) -> Iterator[SamplerStep]:
    """UniPC-p with corrector at every step but the last.

    One step evaluates the model at the predicted state, corrects that state with it, and predicts
    the next one; so it costs one model call. Orders above the number of steps are lowered to it.

    Raises:
        ValueError: unknown variant, or an order below 1.
    """
    if variant not in VARIANTS:
        raise ValueError(f"UniPC variant {variant!r} is not one of {', '.join(VARIANTS)}")
    if order < 1:
        raise ValueError(f"UniPC order {order} is below 1")
    levels = as_floats(sigmas)
    steps = len(levels) - 1
    orders = _orders(steps, min(order, max(steps, 1)), lower_order_final)
    base, *older = resume.history or (x,)
    for i in range(resume.index, steps):
        sigma, sigma_next = levels[i], levels[i + 1]
        denoised = denoiser(x, at(sigma, x))
        if i:
            nodes = levels[i - 1 :: -1][: orders[i - 1]]
            _, corrector = weights(nodes, sigma, variant)
            base = _move(base, [*older[: len(nodes)], denoised], corrector, sigma / nodes[0])
        else:
            base = x
        older = [denoised, *older][:order]
        nodes = levels[i::-1][: orders[i]]
        if sigma_next == 0:
            x = denoised
        else:
            predictor, _ = weights(nodes, sigma_next, variant)
            x = _move(base, older[: len(nodes)], predictor, sigma_next / sigma)
        yield SamplerStep(i, sigma, sigma_next, x, denoised, (base, *older))


def _orders(steps: int, order: int, lower_order_final: bool) -> list[int]:
    rising = [min(step, order) for step in range(1, steps + 1)]
    if not lower_order_final:
        return rising
    return [
        min(wanted, steps + 1 - step) if step >= order else wanted
        for step, wanted in enumerate(rising, start=1)
    ]


def _move(
    x: Tensor, predictions: Sequence[Tensor], factors: Sequence[float], ratio: float
) -> Tensor:
    """Exponential integrator from the newest prediction, plus weighted differences to others."""
    newest = predictions[0]
    moved = toward(newest, x, ratio)
    for prediction, factor in zip(predictions[1:], factors, strict=True):
        moved = moved.add_(prediction - newest, alpha=factor)
    return moved


def weights(nodes: Sequence[float], sigma: float, variant: str) -> tuple[list[float], list[float]]:
    """Factors of the differences of predictions, for the predictor and for the corrector.

    Args:
        nodes: noise levels of the predictions at hand, newest first; their number is the order.
        sigma: noise level to go to.
        variant: B(h) of the paper: ``bh1`` h, ``bh2`` exp(h) - 1, ``vary_coeff`` the general form.

    Returns:
        Predictor: one factor for each of ``nodes[1:]``. Corrector: the same and one more, for the
        prediction at ``sigma``.
    """
    h = math.log(nodes[0] / sigma)
    ratios = np.array([math.log(nodes[0] / node) / h for node in nodes[1:]] + [1.0])
    build = _vary_coeff if variant == "vary_coeff" else _bh
    predictor, corrector = build(-h, ratios, variant)
    return (-predictor / ratios[:-1]).tolist(), (-corrector / ratios).tolist()


def _bh(hh: float, ratios: np.ndarray, variant: str) -> tuple[np.ndarray, np.ndarray]:
    order = len(ratios)
    scale = hh if variant == "bh1" else math.expm1(hh)
    phi = math.expm1(hh) / hh - 1
    factorial = 1
    moments = []
    for i in range(1, order + 1):
        moments.append(phi * factorial / scale)
        factorial *= i + 1
        phi = phi / hh - 1 / factorial
    system = np.stack([ratios**i for i in range(order)])
    right = np.array(moments)
    # The published solver takes 1/2 instead of solving the smallest systems.
    half = np.array([0.5])
    predictor = half if order == 2 else np.linalg.solve(system[:-1, :-1], right[:-1])
    corrector = half if order == 1 else np.linalg.solve(system, right)
    return scale * predictor, scale * corrector


def _vary_coeff(hh: float, ratios: np.ndarray, variant: str) -> tuple[np.ndarray, np.ndarray]:
    order = len(ratios)
    column = np.ones(order)
    columns = []
    for k in range(1, order + 1):
        columns.append(column)
        column = column * ratios / (k + 1)
    matrix = np.stack(columns, axis=1)
    phis = [math.expm1(hh)]
    factorial = 1
    for k in range(1, order + 1):
        phis.append(phis[-1] / hh - 1 / factorial)
        factorial *= k + 1
    higher = np.array(phis[1:order])
    predictor = higher @ np.linalg.inv(matrix[:-1, :-1]) if order > 1 else np.zeros(0)
    inverse = np.linalg.inv(matrix)
    # The published corrector gives the newest difference one coefficient of the inverse only.
    last = phis[order] * inverse[max(order - 2, 0), -1]
    return predictor, np.append(higher @ inverse[:-1, :-1], last)


def unipc_sigmas(
    alphas_cumprod: Tensor, steps: int, skip_type: str = "time_uniform", t_start: float = 1.0
) -> list[float]:
    """``steps + 1`` noise levels of the published sampler, from ``t_start`` to the first timestep.

    Continuous time runs from 1/N to 1, with log(alpha) interpolated linearly between timesteps.

    Raises:
        ValueError: unknown ``skip_type``.
    """
    count = len(alphas_cumprod)
    times = np.arange(1, count + 1) / count
    log_alpha = 0.5 * np.log(alphas_cumprod.double().numpy())
    if skip_type == "time_uniform":
        t = np.linspace(t_start, 1 / count, steps + 1)
    elif skip_type == "time_quadratic":
        t = np.linspace(math.sqrt(t_start), math.sqrt(1 / count), steps + 1) ** 2
    elif skip_type == "logSNR":
        ends = np.interp([t_start, 1 / count], times, log_alpha)
        half_log_snr = ends - 0.5 * np.log1p(-np.exp(2 * ends))
        return np.exp(-np.linspace(half_log_snr[0], half_log_snr[1], steps + 1)).tolist()
    else:
        known = "time_uniform, time_quadratic, logSNR"
        raise ValueError(f"UniPC skip type {skip_type!r} is not one of {known}")
    return np.sqrt(np.expm1(-2 * np.interp(t, times, log_alpha))).tolist()
