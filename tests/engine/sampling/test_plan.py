"""Plans: every sampler with every schedule type, as users choose them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch

from modules.engine.sampling import (
    ModelSampling,
    NoiseSource,
    SamplerParams,
    SamplerStep,
    SamplingPlan,
)
from modules.engine.sampling.solvers.registry import SOLVERS
from modules.requests.errors import RequestError
from modules.requests.samplers import SAMPLERS, SCHEDULERS, resolve_sampler
from tests.engine.sampling.closed_form import Gaussian, TwoPeaks

SD15 = ModelSampling.from_scheduler_config({})
ZERO_SNR = ModelSampling.from_scheduler_config(
    {
        "rescale_betas_zero_snr": True,
        "prediction_type": "v_prediction",
        "timestep_spacing": "trailing",
    }
)
MODELS = {"sd15": SD15, "zero-snr": ZERO_SNR, "setting": SD15.with_zero_terminal_snr()}
NAMES = [sampler.name for sampler in SAMPLERS]


def _plan(
    name: str, schedule: str = "", steps: int = 20, model: ModelSampling = SD15, **settings: Any
) -> SamplingPlan:
    return SamplingPlan.build(
        *resolve_sampler(name, schedule), steps, model, SamplerParams(**settings)
    )


def _run(
    plan: SamplingPlan, seeds: list[int], model: Any = None, shape: tuple[int, ...] = (4, 8, 8)
) -> list[SamplerStep]:
    noise = NoiseSource(seeds, shape=shape, rng="CPU", ensd=plan.params.ensd)
    return list(plan.run(model or _TwoPeaks(), plan.init_noise(noise.initial()), noise))


class _TwoPeaks(TwoPeaks):
    """With a negative prediction of its own, for CFG++."""

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        denoised = super().__call__(x, sigma)
        self.uncond_denoised = denoised * 0.98
        return denoised


def test_every_sampler_of_the_list_has_an_algorithm() -> None:
    assert {sampler.function for sampler in SAMPLERS} == set(SOLVERS)


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
@pytest.mark.parametrize("name", NAMES)
def test_every_sampler_lands_on_the_data_with_every_schedule(
    name: str, model: ModelSampling
) -> None:
    schedules = [""] if name in ("DDIM", "DDIM CFG++", "PLMS", "UniPC") else [
        scheduler.label for scheduler in SCHEDULERS
    ]  # fmt: skip
    for schedule in schedules:
        plan = _plan(name, schedule, 20, model)
        steps = _run(plan, [1], Gaussian(mean=0.3, std=0.8), (4, 16, 16))
        x = steps[-1].x
        assert x.isfinite().all(), schedule
        assert float(x.mean()) == pytest.approx(0.3, abs=0.1), schedule
        # Twenty steps are few for first-order methods, and consistency models have no spread.
        assert 0.3 < float(x.std()) < 2.0, schedule


@pytest.mark.parametrize("name", NAMES)
def test_very_few_steps_work(name: str) -> None:
    for steps, model in itertools.product((1, 2, 3, 4), (SD15, ZERO_SNR)):
        done = _run(_plan(name, "", steps, model), [1], shape=(1, 4, 4))
        assert done[-1].x.isfinite().all()
        assert float(done[-1].x.abs().max()) < 60


@pytest.mark.parametrize("name", [name for name in NAMES if name != "DPM adaptive"])
def test_as_many_steps_are_yielded_as_announced(name: str) -> None:
    for steps in (7, 20, 30, 36):
        plan = _plan(name, "Uniform", steps)
        done = _run(plan, [1], shape=(1, 2, 2))
        assert [step.index for step in done] == list(range(plan.total_steps)), steps


@pytest.mark.parametrize("name", ["Euler", "DDIM", "PLMS", "UniPC"])
@pytest.mark.parametrize("schedule", ["Simple", "DDIM"])
def test_more_steps_than_timesteps_are_as_many_as_there_are(name: str, schedule: str) -> None:
    plan = _plan(name, schedule if name == "Euler" else "", 1200)
    assert 990 < plan.total_steps < 1002
    assert _run(plan, [1], shape=(1, 2, 2))[-1].x.isfinite().all()


@pytest.mark.parametrize("model", [SD15, ZERO_SNR], ids=["sd15", "zero-snr"])
@pytest.mark.parametrize("name", NAMES)
def test_an_image_of_a_batch_equals_the_image_alone(name: str, model: ModelSampling) -> None:
    plan = _plan(name, "", 9, model)
    together = _run(plan, [5, 6], shape=(4, 4, 4))[-1].x
    for i in range(2):
        alone = _run(plan, [5 + i], shape=(4, 4, 4))[-1].x
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_request_gives_the_same_numbers(name: str) -> None:
    plan = _plan(name, "", 6)
    assert torch.equal(_run(plan, [3])[-1].x, _run(plan, [3])[-1].x)


@pytest.mark.parametrize("model", [SD15, ZERO_SNR], ids=["sd15", "zero-snr"])
@pytest.mark.parametrize("name", NAMES)
def test_a_pause_changes_nothing(name: str, model: ModelSampling) -> None:
    plan = _plan(name, "", 22, model, s_churn=3.0)
    uninterrupted = _run(plan, [8, 9], shape=(2, 4, 4))
    noise = NoiseSource([8, 9], shape=(2, 4, 4), rng="CPU")
    walk = plan.run(_TwoPeaks(), plan.init_noise(noise.initial()), noise)
    for stop in (0, 4, len(uninterrupted) - 2):
        while (step := next(walk)).index < stop:
            continue
        saved, state = step, noise.state()
        noise = NoiseSource([8, 9], shape=(2, 4, 4), rng="CPU")
        noise.restore(state)
        walk = plan.run(_TwoPeaks(), saved.x, noise, resume=saved)
    *_, last = walk
    assert torch.equal(last.x, uninterrupted[-1].x)
    assert last.index == uninterrupted[-1].index


@pytest.mark.parametrize("name", NAMES)
def test_yielded_tensors_are_left_alone(name: str) -> None:
    noise = NoiseSource([1], shape=(4, 4, 4), rng="CPU")
    plan = _plan(name, "", 6, s_churn=2.0)
    x = plan.init_noise(noise.initial())
    kept = [(x, x.clone())]
    for step in plan.run(_TwoPeaks(), x, noise):
        kept += [(tensor, tensor.clone()) for tensor in (step.x, step.denoised)]
        assert all(torch.equal(tensor, copy) for tensor, copy in kept)


def test_the_zero_snr_model_is_solved_as_well_as_its_plain_sibling() -> None:
    model = Gaussian(mean=0.3, std=0.8)
    for name, schedule in itertools.product(("DPM++ 2M", "Heun", "DPM2", "LMS"), ("Karras", "")):
        plan = _plan(name, schedule, 20, ZERO_SNR)
        noise = NoiseSource([1], shape=(4, 16, 16), rng="CPU")
        initial = noise.initial()
        *_, last = plan.run(model, plan.init_noise(initial), noise)
        exact = model.mean + initial * model.std
        assert float((last.x - exact).abs().max()) < 0.12, (name, schedule)


@pytest.mark.parametrize(
    ("name", "schedule", "label"),
    [
        ("DPM++ 2M", "", "Karras"),
        ("DPM++ 2M SDE", "Automatic", "Exponential"),
        ("Euler a", "", "Automatic"),
        ("Euler", "sgm_uniform", "SGM Uniform"),
        ("DDIM", "", "Automatic"),
    ],
)
def test_the_label_names_the_schedule_really_used(name: str, schedule: str, label: str) -> None:
    assert _plan(name, schedule).schedule_label == label


def test_default_settings_leave_no_trace_in_the_infotext() -> None:
    assert all(_plan(name).extra_infotext == {} for name in NAMES)


def test_settings_are_noted_in_the_order_of_the_original() -> None:
    plan = _plan(
        "DPM2 a",
        "Karras",
        zero_terminal_snr=True,
        downcast_alphas=True,
        discard_penultimate=True,
        sigma_min=0.1,
        sigma_max=10.0,
        rho=5.0,
        eta=0.5,
        s_noise=1.02,
        sgm_noise_multiplier=True,
    )
    assert list(plan.extra_infotext.items()) == [
        ("Downcast alphas_cumprod", True),
        ("Noise Schedule", "Zero Terminal SNR"),
        ("Schedule min sigma", 0.1),
        ("Schedule max sigma", 10.0),
        ("Schedule rho", 5.0),
        ("Eta", 0.5),
        ("Sigma noise", 1.02),
        ("SGM noise multiplier", True),
    ]
    assert float(plan.sigmas[0]) == pytest.approx(10.0)
    assert float(plan.sigmas[-2]) > 0.1  # the penultimate, 0.1, is discarded


def test_settings_that_a_sampler_does_not_take_are_not_noted() -> None:
    settings = {"eta": 0.5, "s_churn": 3.0, "s_tmin": 0.1, "s_noise": 1.02, "unipc_order": 2}
    assert _plan("DPM++ 2M", **settings).extra_infotext == {}
    assert _plan("DDIM", **settings).extra_infotext == {"Eta DDIM": 0.5}
    assert _plan("UniPC", **settings).extra_infotext == {"UniPC order": 2}
    assert list(_plan("Euler", **settings).extra_infotext) == [
        *("Sigma churn", "Sigma tmin", "Sigma noise")
    ]


def test_discarding_the_penultimate_sigma_keeps_the_number_of_steps() -> None:
    plain, shorter = _plan("Euler", "Karras"), _plan("Euler", "Karras", discard_penultimate=True)
    assert len(plain.sigmas) == len(shorter.sigmas) == 21
    assert shorter.extra_infotext == {"Discard penultimate sigma": True}
    assert float(shorter.sigmas[-2]) > float(plain.sigmas[-2])


@pytest.mark.parametrize(
    "settings", [{"sigma_min": 20.0}, {"sigma_max": 0.001}, {"sigma_min": 5.0, "sigma_max": 5.0}]
)
def test_contradicting_noise_levels_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(RequestError, match="sigma_max"):
        _plan("Euler", "Karras", **settings)


@pytest.mark.parametrize("steps", [0, -3])
def test_no_steps_are_refused(steps: int) -> None:
    with pytest.raises(RequestError, match="steps"):
        _plan("Euler", steps=steps)


def test_the_latents_start_at_the_first_noise_level() -> None:
    noise = torch.ones(1, 4, 2, 2)
    first = SD15.sigma_max
    for name, expected in (("Euler", first), ("DDIM", None)):
        plan = _plan(name)
        expected = expected or math.hypot(1, float(plan.sigmas[0]))
        assert float(plan.init_noise(noise)[0, 0, 0, 0]) == pytest.approx(expected)
    plan = _plan("Euler", sgm_noise_multiplier=True)
    assert float(plan.init_noise(noise)[0, 0, 0, 0]) == pytest.approx(math.hypot(1, first))


def test_ddim_ends_at_the_first_timestep_as_the_original_does() -> None:
    plan = _plan("DDIM", steps=20)
    assert plan.total_steps == 19
    assert float(plan.sigmas[0]) == float(SD15.sigmas[951])
    assert float(plan.sigmas[-1]) == float(SD15.sigmas[1])
    last = _run(plan, [1])[-1]
    vp = float(SD15.alphas_cumprod[1]) ** 0.5
    unscaled = _run_raw(plan)
    torch.testing.assert_close(last.x, unscaled * vp)


def _run_raw(plan: SamplingPlan) -> torch.Tensor:
    noise = NoiseSource([1], shape=(4, 8, 8), rng="CPU")
    x = plan.init_noise(noise.initial())
    *_, last = SOLVERS["ddim"](_TwoPeaks(), x, plan.sigmas, noise_sampler=noise.sampler, eta=0.0)
    return last.x


def test_unipc_makes_as_many_steps_as_the_original() -> None:
    assert _plan("UniPC", steps=20).total_steps == 20
    assert _plan("UniPC", steps=30).total_steps == 31


def test_cfgpp_divides_the_scale_and_needs_the_negative_prediction() -> None:
    plan = _plan("DDIM CFG++")
    assert plan.guidance_factor == pytest.approx(0.08)
    assert plan.needs_uncond
    assert not _plan("DDIM").needs_uncond


def test_ensd_is_named_only_where_it_changes_something() -> None:
    assert _plan("Euler a").uses_ensd
    assert not _plan("Euler a", eta=0.0).uses_ensd
    assert not _plan("DPM++ 2M").uses_ensd


@pytest.mark.parametrize("name", NAMES)
def test_an_image_can_be_the_start(name: str) -> None:
    for t_enc in (0, 1, 7, 19):
        plan = _plan(name, "", 20).start_at(t_enc)
        noise = NoiseSource([1], shape=(4, 4, 4), rng="CPU")
        latents = torch.full((1, 4, 4, 4), 0.9)
        x = plan.noised(latents, noise.initial())
        for step in plan.run(_TwoPeaks(), x, noise):
            x = step.x
        assert x.isfinite().all()
        if t_enc <= 1:  # hardly any noise: the image stays what it was
            assert float((x - latents).abs().max()) < 1.2


def test_an_image_starts_at_the_noise_level_of_its_step() -> None:
    plan = _plan("Euler", "Uniform", 20)
    assert plan.start_at(14).sigmas.tolist() == plan.sigmas[5:].tolist()
    assert plan.start_at(14).init_sigma == float(plan.sigmas[5])


def test_given_noise_levels_replace_the_scheduled() -> None:
    plan = _plan("DPM++ 2M").with_sigmas([5.0, 2.0, 0.5, 0.0])
    steps = _run(plan, [1])
    assert [step.sigma for step in steps] == [5.0, 2.0, 0.5]
    assert plan.init_sigma == 5.0


def test_params_read_the_option_table_and_the_request_wins() -> None:
    options = {"eta_ancestral": 0.7, "s_churn": 5.0, "s_tmax": 0.0, "eta_noise_seed_delta": 31337}
    params = SamplerParams.from_options(options, {"s_churn": 2.0, "s_tmin": None, "eta": None})
    assert (params.s_churn, params.s_tmax, params.ensd) == (2.0, math.inf, 31337)
    assert SamplingPlan.build(*resolve_sampler("Euler a"), 5, SD15, params).eta == 0.7
    assert SamplerParams.from_options({}) == SamplerParams()


def test_the_option_tables_defaults_are_the_parameters_defaults() -> None:
    from modules.settings.tables import build_table

    table = build_table()
    defaults = {key: table[key].default for key in table}
    assert SamplerParams.from_options(defaults) == SamplerParams()
