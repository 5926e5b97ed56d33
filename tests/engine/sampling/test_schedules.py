"""Schedule types against their formulas, and the model's own noise levels."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from modules.engine.sampling.model_sampling import ModelSampling, rescale_to_zero_terminal_snr
from modules.engine.sampling.schedules import (
    RULES,
    ScheduleRequest,
    discard_penultimate,
    restart_pairs,
    spread,
)
from modules.engine.sampling.solvers.ddim import ddim_timesteps, spaced_timesteps
from modules.engine.sampling.solvers.unipc import unipc_sigmas
from modules.requests.samplers import SCHEDULERS

SD15 = ModelSampling.from_scheduler_config({})
ZERO_SNR = ModelSampling.from_scheduler_config(
    {
        "rescale_betas_zero_snr": True,
        "prediction_type": "v_prediction",
        "timestep_spacing": "trailing",
    }
)


def _request(n: int, model: ModelSampling = SD15, **facts: Any) -> ScheduleRequest:
    ends = {"sigma_min": model.sigma_min, "sigma_max": model.sigma_max, "rho": 7.0}
    return ScheduleRequest(n=n, model=model, **{**ends, **facts})


def test_every_schedule_type_of_the_list_has_a_rule() -> None:
    assert list(RULES) == [scheduler.name for scheduler in SCHEDULERS]


def test_sd15_spans_the_known_noise_levels() -> None:
    assert SD15.sigma_min == pytest.approx(0.029167, abs=1e-6)
    assert SD15.sigma_max == pytest.approx(14.614643, abs=1e-5)
    assert len(SD15.sigmas) == 1000


def test_align_your_steps_gives_the_published_table() -> None:
    expected = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029, 0.0]
    assert RULES["align_your_steps"](_request(11)).tolist() == pytest.approx(expected)
    sdxl = RULES["align_your_steps"](_request(11, align_your_steps="sdxl"))
    assert sdxl[1].item() == pytest.approx(6.315)


def test_align_your_steps_interpolates_in_the_logarithm() -> None:
    sigmas = RULES["align_your_steps"](_request(21))
    assert sigmas[1].item() == pytest.approx(math.sqrt(14.615 * 6.475), rel=1e-5)
    assert sigmas[0].item() == pytest.approx(14.615)
    assert sigmas[-2].item() == pytest.approx(0.029)


def test_kl_optimal_is_even_in_the_arctangent_and_ends_at_sigma_min() -> None:
    sigmas = RULES["kl_optimal"](_request(10))
    steps = torch.atan(sigmas.double()).diff()
    assert len(sigmas) == 11
    assert sigmas[-1].item() == pytest.approx(SD15.sigma_min, rel=1e-5)
    torch.testing.assert_close(steps, steps.mean().expand(10), rtol=1e-4, atol=1e-6)


def test_simple_takes_the_models_own_sigmas_from_the_top() -> None:
    sigmas = RULES["simple"](_request(4))
    assert sigmas.tolist() == [*(SD15.sigmas[i].item() for i in (999, 749, 499, 249)), 0.0]


def test_ddim_schedule_starts_at_the_second_sigma_and_may_be_longer() -> None:
    sigmas = RULES["ddim"](_request(30))
    assert len(sigmas) == 32  # 1000 // 30 = 33 gives 31 sigmas
    assert sigmas[-2].item() == SD15.sigmas[1].item()


def test_sgm_uniform_leaves_the_last_timestep_out() -> None:
    sigmas = RULES["sgm_uniform"](_request(4))[:-1]
    timesteps = SD15.sigma_to_t(sigmas)
    expected = torch.tensor([999, 749.25, 499.5, 249.75])
    torch.testing.assert_close(timesteps, expected, atol=0.01, rtol=0)


@pytest.mark.parametrize("name", ["uniform", "normal", "automatic"])
def test_uniform_and_normal_run_over_all_timesteps(name: str) -> None:
    timesteps = SD15.sigma_to_t(RULES[name](_request(4))[:-1])
    torch.testing.assert_close(timesteps, torch.tensor([999.0, 666, 333, 0]), atol=0.01, rtol=0)


def test_beta_takes_quantiles_of_the_distribution() -> None:
    sigmas = RULES["beta"](_request(5, beta_alpha=0.4, beta_beta=0.7))
    share = stats.beta.ppf([1, 0.75, 0.5, 0.25, 0], 0.4, 0.7)
    expected = SD15.sigma_min + share * (SD15.sigma_max - SD15.sigma_min)
    assert sigmas.tolist() == pytest.approx([*expected, 0.0], rel=1e-5)


@pytest.mark.parametrize("model", [SD15, ZERO_SNR], ids=["sd15", "zero-snr"])
@pytest.mark.parametrize("name", list(RULES))
@settings(deadline=None, max_examples=30)
@given(n=st.integers(1, 160))
def test_noise_levels_fall_all_the_way(name: str, model: ModelSampling, n: int) -> None:
    rho = 1.0 if name == "polyexponential" else 7.0
    sigmas = spread(name, _request(n, model, rho=rho))
    assert sigmas.isfinite().all()
    assert (sigmas.diff() < 0).all()
    assert len(sigmas) >= n + 1
    assert sigmas[-1].item() == (
        pytest.approx(model.sigma_min, 1e-4) if name == "kl_optimal" else 0
    )


@pytest.mark.parametrize("name", ["karras", "exponential", "align_your_steps", "beta"])
def test_a_zero_snr_model_spends_one_step_at_the_terminal_level(name: str) -> None:
    rho = 1.0 if name == "polyexponential" else 7.0
    sigmas = spread(name, _request(12, ZERO_SNR, rho=rho))
    inner = spread(name, _request(11, SD15, rho=rho))
    assert sigmas[0].item() == pytest.approx(4518.76, rel=1e-5)
    torch.testing.assert_close(sigmas[1:], inner, rtol=1e-4, atol=1e-5)


def test_the_setting_zero_terminal_snr_spreads_karras_over_everything() -> None:
    model = SD15.with_zero_terminal_snr()
    sigmas = spread("karras", _request(10, model))
    assert sigmas[1].item() > 1000
    assert model.sigma_max == pytest.approx(4518.76, rel=1e-5)


def test_rescaling_keeps_the_first_and_shifts_the_rest() -> None:
    alphas = SD15.alphas_cumprod.double()
    rescaled = rescale_to_zero_terminal_snr(alphas)
    assert rescaled[0].item() == pytest.approx(alphas[0].item())
    assert rescaled[-1].item() == 4.8973451890853435e-08
    root, old = rescaled[:-1].sqrt(), alphas[:-1].sqrt()
    factor = old[0] / (old[0] - alphas[-1].sqrt())
    torch.testing.assert_close(root, (old - alphas[-1].sqrt()) * factor)


def test_discarding_the_penultimate_keeps_the_end() -> None:
    assert discard_penultimate(torch.tensor([4.0, 2, 1, 0.5, 0])).tolist() == [4, 2, 1, 0]


@pytest.mark.parametrize(("steps", "restarts"), [(19, 0), (20, 1), (35, 1), (36, 2), (80, 2)])
def test_restart_takes_as_many_steps_as_asked(steps: int, restarts: int) -> None:
    pairs = restart_pairs(RULES["karras"](_request(steps)))
    jumps = sum(pairs[i][1] < pairs[i + 1][0] for i in range(steps - 1))
    assert len(pairs) == steps
    assert jumps == restarts
    assert pairs[-1][1] == 0


def test_restart_goes_from_a_tenth_back_to_two() -> None:
    pairs = restart_pairs(RULES["karras"](_request(36)))
    i = next(i for i in range(1, len(pairs)) if pairs[i][0] > pairs[i - 1][1])
    assert pairs[i - 1][1] == pytest.approx(0.1, abs=0.05)
    assert pairs[i][0] == pytest.approx(2, abs=0.5)


def test_a1111s_timesteps() -> None:
    assert ddim_timesteps(20) == [i * 50 + 1 for i in range(20)]
    assert ddim_timesteps(1) == [1]
    assert len(ddim_timesteps(30)) == 31
    assert ddim_timesteps(2000)[-1] == 999


def test_diffusers_timesteps() -> None:
    assert spaced_timesteps(4, 1000, "leading", 1) == [751, 501, 251, 1]
    assert spaced_timesteps(4, 1000, "trailing", 1) == [999, 749, 499, 249]
    assert spaced_timesteps(4, 1000, "linspace", 1) == [999, 666, 333, 0]
    with pytest.raises(ValueError, match="sideways"):
        spaced_timesteps(4, 1000, "sideways", 1)


@pytest.mark.parametrize("skip", ["time_uniform", "time_quadratic", "logSNR"])
def test_unipc_runs_from_the_last_to_the_first_timestep(skip: str) -> None:
    levels = unipc_sigmas(SD15.alphas_cumprod, 20, skip)
    assert len(levels) == 21
    assert levels[0] == pytest.approx(SD15.sigma_max, rel=1e-4)
    assert levels[-1] == pytest.approx(SD15.sigma_min, rel=1e-4)
    if skip == "logSNR":
        ratios = torch.tensor(levels).log().diff()
        torch.testing.assert_close(ratios, ratios.mean().expand(20), rtol=1e-3, atol=1e-4)


def test_timesteps_and_sigmas_are_inverse_and_the_paths_agree() -> None:
    timesteps = torch.tensor([0.0, 0.5, 17.25, 500.0, 998.9, 999.0])
    sigmas = SD15.t_to_sigma(timesteps)
    torch.testing.assert_close(SD15.sigma_to_t(sigmas), timesteps, atol=2e-3, rtol=0)
    assert [SD15.timestep(float(s)) for s in sigmas] == pytest.approx(timesteps.tolist(), abs=2e-3)


def test_sigmas_outside_the_models_range_are_clamped_to_its_timesteps() -> None:
    assert SD15.sigma_to_t(torch.tensor([1e-4, 500.0])).tolist() == [0.0, 999.0]


def test_quantized_timesteps_are_whole_numbers() -> None:
    from dataclasses import replace

    model = replace(SD15, quantize=True)
    timesteps = model.sigma_to_t(torch.tensor([0.5, 3.3, 9.9]))
    assert (timesteps == timesteps.round()).all()
    assert model.timestep(3.3) == timesteps[1].item()


def test_lcm_sees_every_twentieth_timestep() -> None:
    model = SD15.for_lcm()
    assert len(model.sigmas) == 50
    assert model.sigma_to_t(model.sigmas).tolist() == list(range(19, 1000, 20))
    assert model.timestep(model.sigma_max) == 999
    torch.testing.assert_close(model.sigmas, SD15.sigmas[19::20])


@pytest.mark.parametrize(
    "config",
    [
        {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"trained_betas": [0.01] * 30},
    ],
)
def test_other_beta_schedules_give_rising_sigmas(config: dict[str, Any]) -> None:
    sigmas = ModelSampling.from_scheduler_config(config).sigmas
    assert sigmas.isfinite().all()
    assert (sigmas.diff() > 0).all()


@pytest.mark.parametrize("config", [{"beta_schedule": "odd"}, {"prediction_type": "odd"}])
def test_an_unknown_scheduler_config_is_named(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="odd"):
        ModelSampling.from_scheduler_config(config)


def test_downcasting_changes_the_noise_levels_a_little() -> None:
    sigmas = SD15.downcast().sigmas
    assert not torch.equal(sigmas, SD15.sigmas)
    torch.testing.assert_close(sigmas, SD15.sigmas, rtol=0.02, atol=0.02)
