"""Schedule types: how noise levels are spread over the steps.

Every rule returns sigmas [n + 1] float32 on the CPU, descending; the last is 0, except where noted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from modules.engine.sampling.flow import FlowTimes
from modules.engine.sampling.model_sampling import TERMINAL_SIGMA, ModelSampling

# Sabour et al. (2024), "Align Your Steps": the published 10-step schedules.
ALIGN_YOUR_STEPS = {
    "sd1": (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
    "sdxl": (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
}


@dataclass(frozen=True)
class ScheduleRequest:
    """What a rule may look at."""

    n: int
    """Number of steps, at least 1."""
    sigma_min: float
    sigma_max: float
    model: ModelSampling | FlowTimes
    rho: float = 7.0
    """Exponent of Karras (7) and Polyexponential (1)."""
    beta_alpha: float = 0.6
    beta_beta: float = 0.6
    align_your_steps: str = "sd1"
    """Which published table: ``sd1`` or ``sdxl``."""


def uniform(request: ScheduleRequest) -> Tensor:
    """The model's own sigmas at evenly spread timesteps, first and last included."""
    model = request.model
    t_max, t_min = model.sigma_to_t(model.sigmas[[-1, 0]]).tolist()
    return _append_zero(model.t_to_sigma(torch.linspace(t_max, t_min, request.n)))


def karras(request: ScheduleRequest) -> Tensor:
    """Karras et al. (2022), equation 5."""
    ramp = torch.linspace(0, 1, request.n)
    start, end = (sigma ** (1 / request.rho) for sigma in (request.sigma_max, request.sigma_min))
    return _append_zero((start + ramp * (end - start)) ** request.rho)


def exponential(request: ScheduleRequest) -> Tensor:
    """Evenly spread in log sigma."""
    start, end = math.log(request.sigma_max), math.log(request.sigma_min)
    return _append_zero(torch.linspace(start, end, request.n).exp())


def polyexponential(request: ScheduleRequest) -> Tensor:
    """Log sigma along a ramp to the power of rho."""
    ramp = torch.linspace(1, 0, request.n) ** request.rho
    low, high = math.log(request.sigma_min), math.log(request.sigma_max)
    return _append_zero((ramp * (high - low) + low).exp())


def sgm_uniform(request: ScheduleRequest) -> Tensor:
    """Evenly spread timesteps without the last, as Stability's generative models have it."""
    return _append_zero(request.model.t_to_sigma(_timesteps(request, request.n + 1)[:-1]))


def normal(request: ScheduleRequest) -> Tensor:
    """Evenly spread timesteps between those of sigma_max and sigma_min."""
    return _append_zero(request.model.t_to_sigma(_timesteps(request, request.n)))


def kl_optimal(request: ScheduleRequest) -> Tensor:
    """Evenly spread in arctan sigma (Sabour et al. 2024, theorem 3.1); ends at sigma_min."""
    share = torch.arange(request.n + 1, dtype=torch.float64) / request.n
    low, high = math.atan(request.sigma_min), math.atan(request.sigma_max)
    return torch.tan(share * low + (1 - share) * high).float()


def align_your_steps(request: ScheduleRequest) -> Tensor:
    """Sabour et al. (2024): published sigmas, interpolated in their logarithm to ``n`` of them."""
    table = np.array(ALIGN_YOUR_STEPS[request.align_your_steps])
    if request.n != len(table):
        places = np.linspace(0, 1, len(table))
        table = np.exp(np.interp(np.linspace(0, 1, request.n), places, np.log(table)))
    return _append_zero(torch.tensor(table, dtype=torch.float32))


def simple(request: ScheduleRequest) -> Tensor:
    """Every (timesteps / n)-th of the model's sigmas, from the top."""
    sigmas = request.model.sigmas
    stride = len(sigmas) / request.n
    return _append_zero(torch.stack([sigmas[-1 - int(i * stride)] for i in range(request.n)]))


def ddim(request: ScheduleRequest) -> Tensor:
    """Sigmas 1, 1 + stride, …; a few more than n where n does not divide the timesteps."""
    sigmas = request.model.sigmas
    return _append_zero(sigmas[1 :: max(len(sigmas) // request.n, 1)].flip(0))


def beta(request: ScheduleRequest) -> Tensor:
    """Quantiles of a beta distribution (Lee et al. 2024, "Beta Sampling is All You Need")."""
    from scipy.stats import beta as distribution

    places = 1 - np.linspace(0, 1, request.n)
    share = distribution.ppf(places, request.beta_alpha, request.beta_beta)
    sigmas = request.sigma_min + share * (request.sigma_max - request.sigma_min)
    return _append_zero(torch.tensor(sigmas, dtype=torch.float32))


RULES: dict[str, Callable[[ScheduleRequest], Tensor]] = {
    "automatic": uniform,
    "uniform": uniform,
    "karras": karras,
    "exponential": exponential,
    "polyexponential": polyexponential,
    "sgm_uniform": sgm_uniform,
    "kl_optimal": kl_optimal,
    "align_your_steps": align_your_steps,
    "simple": simple,
    "normal": normal,
    "ddim": ddim,
    "beta": beta,
}

# Rules that spread sigmas between two ends without looking at the model's timesteps.
_BLIND = {"karras", "exponential", "polyexponential", "align_your_steps", "beta"}
# Of these, one is even in sigma itself: between 0 and thousands it never comes near the signal.
_BLINDEST = {"beta"}


def spread(name: str, request: ScheduleRequest) -> Tensor:
    """Sigmas of the schedule type ``name``.

    A model trained with zero terminal SNR begins at a sigma of thousands, where there is nothing to
    decide. Rules that do not know its timesteps would spend most steps up there; they get one step
    from the terminal sigma, and the rest where the signal is. Where only a setting makes the SNR
    zero, A1111's spread is kept, unless nothing could come of it.
    """
    rule = RULES[name]
    blind = name in _BLIND if request.model.zero_terminal_snr else name in _BLINDEST
    if not blind or request.sigma_max < TERMINAL_SIGMA:
        return rule(request)
    head = torch.tensor([request.sigma_max])
    if request.n == 1:
        return _append_zero(head)
    body = replace(request, n=request.n - 1, sigma_max=request.model.body_sigma_max)
    return torch.cat([head, rule(body)])


def discard_penultimate(sigmas: Tensor) -> Tensor:
    """``sigmas`` without the last before the end."""
    return torch.cat([sigmas[:-2], sigmas[-1:]])


def restart_pairs(sigmas: Tensor, before: int = 0) -> list[tuple[float, float]]:
    """Steps (before, after) of Restart sampling (Xu et al. 2023) with A1111's choice of intervals.

    From 20 steps on, the steps are spread anew after Karras and some are spent on going back from
    sigma 0.1 to 2: once 9 steps, from 36 steps on twice a quarter of all. Restarted steps run from
    the sigma nearest to 2 to the one nearest to 0.1. ``before`` more steps count for this choice.
    """
    steps = len(sigmas) - 1
    if steps + before < 20:
        return _pairs(sigmas)
    inner, times = (9, 1) if steps + before < 36 else ((steps + before) // 4, 2)
    sigmas = _karras_between(steps - inner * times, float(sigmas[-2]), float(sigmas[0]))
    low = int((sigmas - 0.1).abs().argmin())
    high = int((sigmas - 2).abs().argmin())
    pairs = _pairs(sigmas)
    if high < low:
        again = _karras_between(inner + 1, float(sigmas[low]), float(sigmas[high]))[:-1]
        pairs[low:low] = _pairs(again) * times
    return pairs


def _karras_between(n: int, sigma_min: float, sigma_max: float) -> Tensor:
    ramp = torch.linspace(0, 1, n)
    start, end = sigma_max ** (1 / 7), sigma_min ** (1 / 7)
    return _append_zero((start + ramp * (end - start)) ** 7)


def _pairs(sigmas: Tensor) -> list[tuple[float, float]]:
    values = sigmas.tolist()
    return [(values[i], values[i + 1]) for i in range(len(values) - 1)]


def _timesteps(request: ScheduleRequest, n: int) -> Tensor:
    ends = torch.tensor([request.sigma_max, request.sigma_min])
    t_max, t_min = request.model.sigma_to_t(ends).tolist()
    return torch.linspace(t_max, t_min, n)


def _append_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas, sigmas.new_zeros(1)])
