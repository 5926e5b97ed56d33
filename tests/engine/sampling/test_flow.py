"""Flow matching: the makers' schedules, and every sampler on a flow whose solution is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from modules.engine.sampling import ModelSampling, NoiseSource, SamplerParams, SamplingPlan
from modules.engine.sampling.flow import TERMINAL, FlowSampling, to_sigma, to_time
from modules.engine.sampling.prediction import scale_input, to_denoised
from modules.requests.errors import RequestError
from modules.requests.samplers import SAMPLERS, SCHEDULERS, find_sampler, find_scheduler

SD3 = {"prediction_type": "flow", "shift": 3.0}
FLUX = {"prediction_type": "flow", "use_dynamic_shifting": True, "even": True}
MEAN, SPREAD = 0.7, 0.9
"""Of the pixels that the known flow makes."""


def _model(config: dict[str, object]) -> FlowSampling:
    made = ModelSampling.from_scheduler_config(config)
    assert isinstance(made, FlowSampling)
    return made


def _plan(sampler: str, schedule: str, steps: int, config: dict[str, object] = SD3) -> SamplingPlan:
    return SamplingPlan.build(
        find_sampler(sampler), find_scheduler(schedule), steps, _model(config), SamplerParams()
    )


class Pixels:
    """A perfect network for independent pixels N(MEAN, SPREAD²), behind the door of a flow."""

    def __init__(self, plan: SamplingPlan) -> None:
        self.plan = plan
        self.uncond_denoised = torch.zeros(0)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        level = float(sigma[0])
        time = self.plan.model_sampling.timestep(level) / 1000
        seen = scale_input(x, level, "flow")
        # E[noise - x0 | seen] of the mixture (1 - t) x0 + t noise.
        variance = (1 - time) ** 2 * SPREAD**2 + time**2
        off = seen - (1 - time) * MEAN
        velocity = (time - (1 - time) * SPREAD**2) / variance * off - MEAN
        self.uncond_denoised = to_denoised(velocity, x, level, "flow")
        return self.uncond_denoised


def _noise(count: int = 1, side: int = 16) -> NoiseSource:
    return NoiseSource(list(range(count)), shape=(16, side, side), rng="CPU")


def _sampled(plan: SamplingPlan, noise: NoiseSource) -> Tensor:
    *_, last = plan.run(Pixels(plan), plan.init_noise(noise.initial()), noise)
    return last.x


@pytest.mark.parametrize("steps", [1, 4, 28])
def test_sd3s_automatic_schedule_is_diffusers(steps: int) -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler

    theirs = FlowMatchEulerDiscreteScheduler(shift=3.0)
    theirs.set_timesteps(steps)
    ours = _plan("Euler", "Automatic", steps).sigmas
    torch.testing.assert_close(ours, to_sigma(theirs.sigmas.double()).float(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("tokens", [64, 1024, 4096])
def test_fluxs_automatic_schedule_depends_on_the_pictures_size_as_in_diffusers(tokens: int) -> None:
    import numpy
    from diffusers import FlowMatchEulerDiscreteScheduler

    # As FluxPipeline works it out: mu on the line through (256, 0.5) and (4096, 1.15).
    mu = 0.5 + (1.15 - 0.5) / (4096 - 256) * (tokens - 256)
    theirs = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    theirs.set_timesteps(sigmas=numpy.linspace(1, 1 / 20, 20), mu=mu)
    model = _model(FLUX).for_picture(tokens)
    plan = SamplingPlan.build(find_sampler("Euler"), find_scheduler(None), 20, model)
    torch.testing.assert_close(
        plan.sigmas, to_sigma(theirs.sigmas.double()).float(), rtol=1e-3, atol=1e-6
    )


def test_times_and_sigmas_belong_together() -> None:
    model = _model(SD3)
    assert model.timestep(TERMINAL) == 1000
    assert model.timestep(1.0) == pytest.approx(500)
    levels = model.sigmas[[0, 500, 999]]
    told = model.sigma_to_t(levels).tolist()
    assert told == pytest.approx([model.timestep(float(one)) for one in levels], rel=1e-5)
    assert to_time(float(to_sigma(torch.tensor(0.25, dtype=torch.float64)))) == pytest.approx(0.25)


@pytest.mark.parametrize("sampler", [one.name for one in SAMPLERS])
def test_every_sampler_ends_at_the_flows_pictures(sampler: str) -> None:
    made = _sampled(_plan(sampler, "Automatic", 60), _noise())
    assert torch.isfinite(made).all()
    assert float(made.mean()) == pytest.approx(MEAN, abs=0.06)
    # Consistency sampling ends at means; all others keep the spread.
    wanted = made.std() if sampler in ("LCM",) else torch.tensor(SPREAD)
    assert float(made.std()) == pytest.approx(float(wanted), rel=0.2)


@pytest.mark.parametrize("schedule", [s.label for s in SCHEDULERS if s.name != "align_your_steps"])
def test_every_schedule_type_begins_with_noise_alone_and_ends_with_none(schedule: str) -> None:
    plan = _plan("Euler", schedule, 20)
    assert float(plan.sigmas[0]) == TERMINAL or schedule in ("DDIM",)
    assert float(plan.sigmas[-1]) < 0.01
    assert bool((plan.sigmas.diff() < 0).all())


def test_a_samplers_own_schedule_type_is_not_forced_on_a_flow() -> None:
    assert _plan("DPM++ 2M", "Automatic", 10).schedule_label == "Automatic"
    assert _plan("DPM++ 2M", "Karras", 10).schedule_label == "Karras"


def test_align_your_steps_is_refused_with_a_reason() -> None:
    with pytest.raises(RequestError, match="flow matching"):
        _plan("Euler", "Align Your Steps", 10)


def test_a_sigma_that_no_flow_has_is_refused() -> None:
    params = SamplerParams(sigma_max=14.6)
    with pytest.raises(RequestError, match="0 to 1"):
        SamplingPlan.build(find_sampler("Euler"), find_scheduler("Karras"), 5, _model(SD3), params)


def test_a_picture_to_start_from_is_mixed_with_noise_as_the_flow_has_it() -> None:
    plan = _plan("Euler", "Automatic", 20).start_at(9)
    level = plan.init_sigma
    time = to_time(level)
    picture, noise = torch.full((1, 16, 4, 4), 2.0), torch.full((1, 16, 4, 4), -1.0)
    seen = scale_input(plan.noised(picture, noise), level, "flow")
    torch.testing.assert_close(seen, (1 - time) * picture + time * noise)
    assert math.isfinite(level) and 0.5 < time < 0.9


def test_eulers_step_is_that_of_the_flow_itself() -> None:
    plan = _plan("Euler", "Automatic", 6)
    network, noise = Pixels(plan), _noise(side=4)
    x = plan.init_noise(noise.initial())
    mixture = scale_input(x, TERMINAL, "flow")
    steps = list(plan.run(network, x, noise))
    times = [to_time(sigma) for sigma in plan.sigmas.tolist()]
    for step, time, after in zip(steps, times, times[1:], strict=False):
        sigma = TERMINAL if time == 1 else time / (1 - time)
        unscaled = mixture * (1 + sigma)
        denoised = network(unscaled, torch.full((1,), sigma))
        velocity = (mixture - denoised) / time
        mixture = mixture + (after - time) * velocity
        torch.testing.assert_close(
            scale_input(step.x, step.sigma_next, "flow"), mixture, rtol=1e-4, atol=1e-4
        )
