"""Samplers against exact solutions: order of convergence, and the variance of what SDEs make."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from modules.engine.sampling.noise import NoiseSource
from modules.engine.sampling.schedules import ScheduleRequest, karras, restart_pairs
from modules.engine.sampling.solvers.dpm_solver import (
    fast_levels,
    sample_dpm_adaptive,
    sample_dpm_fast,
)
from modules.engine.sampling.solvers.euler import sample_lcm
from modules.engine.sampling.solvers.multistep import lagrange_integrals
from modules.engine.sampling.solvers.registry import SOLVERS
from tests.engine.sampling.closed_form import Gaussian, Waves, start

HIGH, LOW = 10.0, 0.1


def _even(n: int) -> list[float]:
    """``n`` steps evenly spread in log sigma."""
    return [HIGH * (LOW / HIGH) ** (i / n) for i in range(n + 1)]


def _error(solver: Callable[..., Any], levels: Sequence[float], **options: Any) -> float:
    """Distance to the exact solution of the probability flow at the last level."""
    model, x = Gaussian(), start(HIGH)
    *_, last = solver(model, x, levels, **options)
    return float((last.x - model.flow(x, HIGH, levels[-1])).abs().max())


DETERMINISTIC = [
    ("euler", {"noise_sampler": Waves()}, 1),
    ("ddim", {"noise_sampler": Waves(), "eta": 0.0}, 1),
    ("ddim_cfgpp", {"noise_sampler": Waves(), "eta": 0.0}, 1),
    ("heun", {"noise_sampler": Waves()}, 2),
    ("dpm_2", {"noise_sampler": Waves()}, 2),
    ("dpm_2_ancestral", {"noise_sampler": Waves(), "eta": 0.0}, 2),
    ("dpmpp_2s_ancestral", {"noise_sampler": Waves(), "eta": 0.0}, 2),
    ("dpmpp_sde", {"noise_sampler": Waves(), "eta": 0.0}, 2),
    ("dpmpp_2m", {}, 2),
    ("dpmpp_2m_sde", {"noise_sampler": Waves(), "eta": 0.0}, 2),
    ("dpmpp_2m_sde", {"noise_sampler": Waves(), "eta": 0.0, "solver_type": "heun"}, 2),
    # Its third-order term has half the weight of the exact expansion, here as in k-diffusion.
    ("dpmpp_3m_sde", {"noise_sampler": Waves(), "eta": 0.0}, 2),
    ("lms", {"order": 2}, 2),
    ("lms", {"order": 3}, 3),
    ("unipc", {"order": 1, "variant": "bh2", "lower_order_final": False}, 2),
    ("unipc", {"order": 2, "variant": "bh1", "lower_order_final": False}, 3),
    ("unipc", {"order": 2, "variant": "bh2", "lower_order_final": False}, 3),
    # The published corrector drops terms of this variant.
    ("unipc", {"order": 2, "variant": "vary_coeff", "lower_order_final": False}, 1),
    ("unipc", {"order": 3, "variant": "bh1", "lower_order_final": False}, 3),
    ("unipc", {"order": 3, "variant": "bh2", "lower_order_final": False}, 3),
]


@pytest.mark.parametrize(
    ("name", "options", "order"),
    DETERMINISTIC,
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_the_error_falls_with_the_order_of_the_method(
    name: str, options: dict[str, Any], order: int
) -> None:
    counts = (40, 80, 160)
    errors = [_error(SOLVERS[name], _even(n), **options) for n in counts]
    slopes = [math.log2(errors[i] / errors[i + 1]) for i in range(len(errors) - 1)]
    assert slopes[-1] > order - 0.35, (errors, slopes)
    assert errors[-1] < 0.05


def test_dpm_fast_is_of_third_order() -> None:
    def error(calls: int) -> float:
        levels, orders = fast_levels(HIGH, LOW, calls)
        return _error(sample_dpm_fast, levels, orders=orders, noise_sampler=Waves())

    # The last step of every run is of first or second order, but shrinks as well.
    assert math.log2(error(61) / error(121)) > 1.9
    assert error(121) < 1e-3


def test_dpm_adaptive_meets_its_tolerance_and_spends_more_calls_on_a_tighter_one() -> None:
    errors, calls = [], []
    for tolerance in (0.05, 0.005, 0.0005):
        model, x = Gaussian(), start(HIGH)
        *_, last = sample_dpm_adaptive(
            model, x, HIGH, LOW, image_noise=lambda _: Waves()(), rtol=tolerance, atol=tolerance
        )
        errors.append(float((last.x - model.flow(x, HIGH, LOW)).abs().max()))
        calls.append(len(model.calls))
        assert last.fraction == pytest.approx(1.0)
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.01
    assert calls[0] < calls[1] < calls[2]


def test_dpm_adaptive_ends_when_the_model_gives_nan() -> None:
    def broken(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return x * float("nan")

    steps = list(sample_dpm_adaptive(broken, start(HIGH), HIGH, LOW, image_noise=lambda _: 0))
    assert len(steps) == 1
    assert steps[0].x.isnan().all()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("euler_ancestral", {}),
        ("dpm_2_ancestral", {}),
        ("dpmpp_2s_ancestral", {}),
        ("dpmpp_sde", {}),
        ("dpmpp_2m_sde", {}),
        ("dpmpp_2m_sde", {"solver_type": "heun"}),
        ("dpmpp_3m_sde", {}),
        ("ddim", {"eta": 1.0}),
        ("euler", {"s_churn": 20.0}),
        ("heun", {"s_churn": 20.0}),
        ("dpm_2", {"s_churn": 20.0}),
    ],
)
def test_noise_between_steps_keeps_mean_and_variance_of_the_data(
    name: str, options: dict[str, Any]
) -> None:
    model = Gaussian(mean=0.3, std=0.8)
    noise = NoiseSource(list(range(4)), shape=(4, 32, 32), rng="CPU")
    levels = _even(80)
    if "_sde" in name:
        options = {**options, "noise_sampler": noise.brownian(LOW, HIGH)}
    else:
        options = {**options, "noise_sampler": noise.sampler}
    x = model.mean + noise.initial() * math.hypot(model.std, HIGH)
    *_, last = SOLVERS[name](model, x, levels, **options)
    # Methods of first order make some variance disappear, in proportion to the step.
    first_order = name in ("euler", "euler_ancestral", "ddim")
    assert float(last.x.mean()) == pytest.approx(model.mean, abs=0.03)
    variance = math.hypot(model.std, LOW)
    assert float(last.x.std()) == pytest.approx(variance, rel=0.1 if first_order else 0.03)


def test_restart_keeps_mean_and_variance_of_the_data() -> None:
    model = Gaussian(mean=0.3, std=0.8)
    noise = NoiseSource(list(range(8)), shape=(4, 32, 32), rng="CPU")
    x = noise.initial() * 14.6
    pairs = restart_pairs(_karras(40))
    *_, last = SOLVERS["restart"](model, x, pairs, noise_sampler=noise.sampler)
    assert float(last.x.mean()) == pytest.approx(model.mean, abs=0.03)
    assert float(last.x.std()) == pytest.approx(model.std, rel=0.03)


def _karras(n: int) -> torch.Tensor:
    from modules.engine.sampling.model_sampling import ModelSampling

    model = ModelSampling.from_scheduler_config({})
    return karras(ScheduleRequest(n=n, sigma_min=0.03, sigma_max=14.6, model=model, rho=7.0))


def test_lcm_jumps_to_the_prediction_and_noises_it_again() -> None:
    model, noise = Gaussian(), Waves()
    steps = list(
        sample_lcm(
            model, start(HIGH), [HIGH, 1.0, 0.0], noise_sampler=noise, timestep=[999.0, 499.0]
        )
    )
    denoised = Gaussian()(start(HIGH), torch.full((2,), HIGH))
    scaled = 9990.0
    expected = denoised * scaled / math.hypot(scaled, 0.5)
    expected = expected + start(HIGH) * 0.25 / (scaled**2 + 0.25)
    torch.testing.assert_close(steps[0].denoised, expected)
    torch.testing.assert_close(steps[0].x, expected + Waves()())
    torch.testing.assert_close(steps[1].x, steps[1].denoised)


def test_cfgpp_renoises_with_the_unconditional_prediction() -> None:
    class TwoPredictions:
        def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            self.uncond_denoised = x * 0.25
            return x * 0.5

    x = start(2.0)
    step = next(SOLVERS["ddim_cfgpp"](TwoPredictions(), x, [2.0, 1.0], noise_sampler=Waves()))
    torch.testing.assert_close(step.x, x * 0.5 + (x - x * 0.25) / 2.0 * 1.0)


def test_lagrange_integrals_are_exact() -> None:
    nodes = [3.0, 4.0, 5.5, 7.0]
    weights = lagrange_integrals(nodes, 3.0, 2.2)
    for power in range(4):
        exact = (2.2 ** (power + 1) - 3.0 ** (power + 1)) / (power + 1)
        total = sum(w * node**power for w, node in zip(weights, nodes, strict=True))
        assert total == pytest.approx(exact)
