"""Our samplers against diffusers' schedulers, on the same model, noise levels and start.

Settings under which a whole picture equals diffusers' pipeline:

- DDIMScheduler (leading, trailing): DDIM with the same ``timestep_spacing``.
- PNDMScheduler(skip_prk_steps=True): PLMS with ``timestep_spacing="leading"``.
- EulerDiscreteScheduler: Euler; linspace is Uniform, use_karras_sigmas Karras, and so on;
  for other spacings ``plan.with_sigmas(scheduler.sigmas)``.
- DPMSolverMultistepScheduler: DPM++ 2M, ``plan.with_sigmas(scheduler.sigmas)``.
- UniPCMultistepScheduler: UniPC with its order and variant, ``plan.with_sigmas(scheduler.sigmas)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from modules.engine.compat.torchvision_ops import make_torchvision_importable
from modules.engine.sampling.model_sampling import ModelSampling
from modules.engine.sampling.noise import NoiseSource
from modules.engine.sampling.params import SamplerParams
from modules.engine.sampling.plan import SamplingPlan
from modules.engine.sampling.solvers.multistep import sample_dpmpp_2m
from modules.engine.sampling.solvers.unipc import sample_unipc
from modules.requests.samplers import resolve_sampler
from tests.engine.sampling.closed_form import TwoPeaks

SD15 = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
}
ZERO_SNR = {
    **SD15,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}


@pytest.fixture(scope="module")
def diffusers() -> Any:
    make_torchvision_importable()
    import diffusers

    return diffusers


def _model_output(x_scaled: Tensor, t: Tensor, alphas: Tensor, kind: str) -> Tensor:
    """What a perfect network for ``TwoPeaks`` says about scaled latents at timestep ``t``."""
    alpha = alphas[int(t)].double()
    sigma = ((1 - alpha) / alpha).sqrt()
    x = x_scaled * (1 + sigma**2).sqrt()
    denoised = TwoPeaks()(x, sigma.expand(x.shape[0]))
    noise = (x - denoised) / sigma
    if kind == "epsilon":
        return noise
    return alpha.sqrt() * noise - (1 - alpha).sqrt() * denoised


def _pipeline(scheduler: Any, steps: int, noise: Tensor, kind: str, alphas: Tensor) -> Tensor:
    """The loop of diffusers' pipelines."""
    scheduler.set_timesteps(steps)
    latents = noise * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        scaled = scheduler.scale_model_input(latents, t)
        output = _model_output(scaled, t.round(), alphas, kind).to(scaled.dtype)
        latents = scheduler.step(output, t, latents).prev_sample
    return latents


def _ours(
    name: str, schedule: str, steps: int, noise: Tensor, model: ModelSampling, **settings: Any
) -> Tensor:
    sampler, scheduler = resolve_sampler(name, schedule)
    plan = SamplingPlan.build(sampler, scheduler, steps, model, SamplerParams(**settings))
    source = NoiseSource([0] * noise.shape[0], shape=noise.shape[1:], rng="CPU")
    *_, last = plan.run(TwoPeaks(), plan.init_noise(noise), source)
    return last.x


@pytest.fixture
def noise() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn([2, 4, 6, 5], generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("steps", [1, 7, 20])
def test_ddim_leading(diffusers: Any, noise: Tensor, steps: int) -> None:
    scheduler = diffusers.DDIMScheduler(
        **SD15, clip_sample=False, set_alpha_to_one=False, steps_offset=1
    )
    expected = _pipeline(scheduler, steps, noise, "epsilon", scheduler.alphas_cumprod)
    model = ModelSampling.from_scheduler_config(dict(scheduler.config))
    ours = _ours("DDIM", "", steps, noise, model, timestep_spacing="leading")
    torch.testing.assert_close(ours, expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("steps", [5, 20])
def test_ddim_trailing_with_zero_terminal_snr(diffusers: Any, noise: Tensor, steps: int) -> None:
    scheduler = diffusers.DDIMScheduler(**ZERO_SNR, clip_sample=False, set_alpha_to_one=False)
    model = ModelSampling.from_scheduler_config(dict(scheduler.config))
    # diffusers has exactly 0 for the last alpha; a model cannot tell it from the tiny number.
    scheduler.alphas_cumprod[-1] = model.alphas_cumprod[-1]
    expected = _pipeline(scheduler, steps, noise, "v_prediction", scheduler.alphas_cumprod)
    ours = _ours("DDIM", "", steps, noise, model)
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("steps", [6, 20])
def test_plms(diffusers: Any, noise: Tensor, steps: int) -> None:
    scheduler = diffusers.PNDMScheduler(**SD15, skip_prk_steps=True, steps_offset=1)
    expected = _pipeline(scheduler, steps, noise, "epsilon", scheduler.alphas_cumprod)
    model = ModelSampling.from_scheduler_config(dict(scheduler.config))
    ours = _ours("PLMS", "", steps, noise, model, timestep_spacing="leading")
    torch.testing.assert_close(ours, expected, rtol=2e-4, atol=2e-4)


def _sigma_pipeline(scheduler: Any, steps: int, noise: Tensor) -> Tensor:
    """The pipeline's loop with a model that looks at the scheduler's own sigma."""
    scheduler.set_timesteps(steps)
    latents = noise * scheduler.init_noise_sigma
    for i, t in enumerate(scheduler.timesteps):
        scheduler.scale_model_input(latents, t)
        sigma = scheduler.sigmas[i].double()
        denoised = TwoPeaks()(latents, sigma.expand(latents.shape[0]))
        latents = scheduler.step((latents - denoised) / sigma, t, latents).prev_sample
    return latents


@pytest.mark.parametrize(
    ("schedule", "options"),
    [
        ("Uniform", {"timestep_spacing": "linspace"}),
        ("Karras", {"use_karras_sigmas": True}),
        ("Exponential", {"use_exponential_sigmas": True}),
    ],
)
def test_euler(diffusers: Any, noise: Tensor, schedule: str, options: dict[str, Any]) -> None:
    scheduler = diffusers.EulerDiscreteScheduler(**SD15, **options)
    scheduler.set_timesteps(12)
    model = ModelSampling.from_scheduler_config(dict(scheduler.config))
    scale = float(scheduler.init_noise_sigma) / float(model.sigma_max)
    expected = _sigma_pipeline(scheduler, 12, noise)
    ours = _ours("Euler", schedule, 12, noise * scale, model)
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-3)


def _walk(
    scheduler: Any, steps: int, noise: Tensor, solver: Callable[..., Any], **options: Any
) -> tuple[Tensor, Tensor]:
    """diffusers' result and ours over diffusers' sigmas, both variance preserving at the end."""
    scheduler.set_timesteps(steps)
    sigmas = scheduler.sigmas.double()
    latents = noise
    for i, t in enumerate(scheduler.timesteps):
        scale = (1 + sigmas[i] ** 2).sqrt()
        x = latents * scale
        denoised = TwoPeaks()(x, sigmas[i].expand(x.shape[0]))
        latents = scheduler.step((x - denoised) / sigmas[i], t, latents).prev_sample
    start = noise * (1 + sigmas[0] ** 2).sqrt()
    *_, last = solver(TwoPeaks(), start, sigmas, **options)
    return latents, last.x / (1 + sigmas[-1] ** 2).sqrt()


@pytest.mark.parametrize(
    ("final", "karras"), [("zero", True), ("zero", False), ("sigma_min", False)]
)
def test_dpmpp_2m(diffusers: Any, noise: Tensor, final: str, karras: bool) -> None:
    scheduler = diffusers.DPMSolverMultistepScheduler(
        **SD15,
        final_sigmas_type=final,
        use_karras_sigmas=karras,
        lower_order_final=final == "zero",
    )
    expected, ours = _walk(scheduler, 16, noise, sample_dpmpp_2m)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("variant", ["bh1", "bh2"])
@pytest.mark.parametrize("lower", [True, False])
def test_unipc(diffusers: Any, noise: Tensor, order: int, variant: str, lower: bool) -> None:
    scheduler = diffusers.UniPCMultistepScheduler(
        **SD15,
        solver_order=order,
        solver_type=variant,
        lower_order_final=lower,
        final_sigmas_type="sigma_min",
    )
    expected, ours = _walk(
        scheduler, 12, noise, sample_unipc, order=order, variant=variant, lower_order_final=lower
    )
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def test_unipc_with_the_pipelines_default_settings(diffusers: Any, noise: Tensor) -> None:
    scheduler = diffusers.UniPCMultistepScheduler(**SD15, timestep_spacing="trailing")
    expected, ours = _walk(scheduler, 20, noise, sample_unipc, order=2, variant="bh2")
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def test_zero_terminal_snr_sigmas_are_diffusers_but_for_the_last(diffusers: Any) -> None:
    scheduler = diffusers.EulerDiscreteScheduler(**ZERO_SNR)
    model = ModelSampling.from_scheduler_config(dict(scheduler.config))
    alphas = scheduler.alphas_cumprod
    torch.testing.assert_close(model.alphas_cumprod[:-1], alphas[:-1], rtol=5e-4, atol=1e-7)
    assert model.sigma_max == pytest.approx(4518.76, rel=1e-5)
