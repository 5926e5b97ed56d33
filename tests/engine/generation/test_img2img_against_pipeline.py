"""img2img and inpainting against diffusers' own pipelines: same weights, noise and picture out.

Their pipelines draw the VAE's latents from its distribution where the engine takes the mean, and
count the steps of a strength one lower; both are told to do as the engine does.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from modules.engine.checkpoints import LoadedModel
from modules.engine.compat.torchvision_ops import make_torchvision_importable
from modules.engine.generation.spec import GenerationSpec
from modules.engine.generation.task import PassTask, partial_steps
from modules.engine.sampling import NoiseSource, SamplerParams, SamplingPlan
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_models import TinyShape, tiny_sd

STEPS = 6
STRENGTH = 0.7
MADE = int(STRENGTH * STEPS) + 1
SIZE = 64
PROMPT, NEGATIVE = "a red apple, on a table", "blurry"
SAMPLERS = {
    "DDIM": (
        "DDIMScheduler",
        {
            "timestep_spacing": "leading",
            "steps_offset": 1,
            "clip_sample": False,
            "set_alpha_to_one": False,
        },
    ),
    "Euler": ("EulerDiscreteScheduler", {"timestep_spacing": "linspace"}),
}
COMMON = {
    "kind": "img2img",
    "prompt": PROMPT,
    "negative_prompt": NEGATIVE,
    "width": SIZE,
    "height": SIZE,
    "steps": STEPS,
    "cfg_scale": 6.0,
    "seed": 11,
    "scheduler": "Uniform",
    "options": {"randn_source": "CPU", "overlay_inpaint": False},
}
MASKED = {"mask_blur": 0, "inpainting_fill": 1, "inpaint_full_res": False}


@pytest.fixture(scope="module")
def inpainting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = TinyShape(unet_in_channels=9)
    return tiny_sd(tmp_path_factory.mktemp("nine"), dtype="float32", seed=6, shape=shape)


@pytest.fixture(scope="module")
def editing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = TinyShape(unet_in_channels=8)
    return tiny_sd(tmp_path_factory.mktemp("eight"), dtype="float32", seed=8, shape=shape)


@pytest.fixture(autouse=True)
def same_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of the VAE, the engine's noise, and DDIM's own timesteps on both sides."""
    make_torchvision_importable()
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
    from diffusers.pipelines.stable_diffusion import (
        pipeline_stable_diffusion_img2img as img2img,
    )
    from diffusers.pipelines.stable_diffusion import (
        pipeline_stable_diffusion_inpaint as inpaint,
    )

    def mean(self: Any, generator: Any = None) -> torch.Tensor:
        return self.mode()

    def noise(*args: Any, **kwargs: Any) -> torch.Tensor:
        return _noise()

    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", mean)
    for module in (img2img, inpaint):
        monkeypatch.setattr(module, "randn_tensor", noise)
    monkeypatch.setattr(PassTask, "plan", _with_leading_timesteps)


def _with_leading_timesteps(
    task: PassTask, spec: GenerationSpec, model: LoadedModel
) -> SamplingPlan:
    params = SamplerParams.from_options(spec.options, spec.request)
    if task.sampler.name == "DDIM":
        params = replace(params, timestep_spacing="leading")
    steps, last = partial_steps(task.steps, task.strength, exact=task.exact_steps)
    plan = SamplingPlan.build(
        task.sampler, task.scheduler, steps, model.model_sampling, params, model.device
    )
    return plan.start_at(last)


def _noise() -> torch.Tensor:
    shape = (4, SIZE // 8, SIZE // 8)
    return NoiseSource([11], [0], 0.0, (0, 0), shape=shape, rng="CPU").initial()


def _pipeline(name: str, checkpoint: Path, sampler: str) -> Any:
    import diffusers

    pipe = getattr(diffusers, name).from_pretrained(
        checkpoint, safety_checker=None, requires_safety_checker=False, local_files_only=True
    )
    pipe.set_progress_bar_config(disable=True)
    kept = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "prediction_type")
    config = {key: pipe.scheduler.config[key] for key in kept if key in pipe.scheduler.config}
    class_name, settings = SAMPLERS[sampler]
    pipe.scheduler = getattr(diffusers, class_name)(**config, **settings)
    return pipe


def _theirs(pipe: Any, photo: Image.Image, **arguments: Any) -> np.ndarray:
    with torch.inference_mode():
        answer = pipe(
            PROMPT,
            negative_prompt=NEGATIVE,
            image=photo,
            num_inference_steps=STEPS,
            guidance_scale=6.0,
            output_type="pil",
            **arguments,
        )
    return np.asarray(answer.images[0])


def _check(ours: np.ndarray, theirs: np.ndarray, photo: Image.Image) -> None:
    assert theirs.std() > 2  # a picture, not a plain colour that anything would equal
    assert difference(theirs, np.asarray(photo)) > 50  # and not the one that was given
    assert difference(ours, theirs) <= 1


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_img2img_equals_the_pipelines(studio: Studio, photo: Image.Image, sampler: str) -> None:
    ours = studio.picture(
        **COMMON, sampler_name=sampler, init_images=[photo], denoising_strength=STRENGTH
    )
    pipe = _pipeline("StableDiffusionImg2ImgPipeline", studio.checkpoint, sampler)
    theirs = _theirs(pipe, photo, strength=MADE / STEPS)
    _check(ours, theirs, photo)


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_inpainting_with_a_plain_model_equals_the_pipelines(
    studio: Studio, photo: Image.Image, hole: Image.Image, sampler: str
) -> None:
    ours = studio.picture(
        **COMMON,
        **MASKED,
        sampler_name=sampler,
        init_images=[photo],
        mask=hole,
        denoising_strength=STRENGTH,
    )
    pipe = _pipeline("StableDiffusionInpaintPipeline", studio.checkpoint, sampler)
    theirs = _theirs(pipe, photo, mask_image=hole, width=SIZE, height=SIZE, strength=MADE / STEPS)
    _check(ours, theirs, photo)


def test_an_inpainting_model_equals_the_pipelines(
    studio: Studio, photo: Image.Image, hole: Image.Image, inpainting: Path
) -> None:
    ours = studio.picture(
        **COMMON,
        **MASKED,
        checkpoint=inpainting,
        sampler_name="Euler",
        init_images=[photo],
        mask=hole,
        denoising_strength=STRENGTH,
    )
    pipe = _pipeline("StableDiffusionInpaintPipeline", inpainting, "Euler")
    theirs = _theirs(
        pipe,
        photo,
        mask_image=hole,
        width=SIZE,
        height=SIZE,
        strength=MADE / STEPS,
        callback_on_step_end=_blending(photo, hole),
    )
    _check(ours, theirs, photo)


def _blending(photo: Image.Image, hole: Image.Image) -> Any:
    """For 9 channels their pipeline leaves the unmasked latents to the model; A1111 does not."""
    mask = torch.from_numpy(np.asarray(hole.resize((8, 8), 0)) / 255.0).float()[None, None]

    def blend(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        pixels = pipe.image_processor.preprocess(photo)
        original = pipe.vae.encode(pixels).latent_dist.mode() * pipe.vae.config.scaling_factor
        level = pipe.scheduler.sigmas[pipe.scheduler.step_index]
        kept = original + _noise() * level
        return {"latents": torch.lerp(kept, tensors["latents"], mask)}

    return blend


@pytest.mark.parametrize("image_cfg_scale", [1.0, 1.5])
def test_an_editing_model_equals_the_pipelines(
    studio: Studio, photo: Image.Image, editing: Path, image_cfg_scale: float
) -> None:
    ours = studio.picture(
        **COMMON,
        checkpoint=editing,
        sampler_name="Euler",
        init_images=[photo],
        denoising_strength=1.0,
        image_cfg_scale=image_cfg_scale,
    )
    pipe = _pipeline("StableDiffusionInstructPix2PixPipeline", editing, "Euler")
    pipe.scheduler.set_timesteps(STEPS)
    pixels = pipe.image_processor.preprocess(photo)
    with torch.inference_mode():
        latents = pipe.vae.encode(pixels).latent_dist.mode() * pipe.vae.config.scaling_factor
    start = latents + _noise() * pipe.scheduler.sigmas[0]
    theirs = _theirs(
        pipe,
        photo,
        image_guidance_scale=image_cfg_scale,
        latents=start / pipe.scheduler.init_noise_sigma,
    )
    _check(ours, theirs, photo)
