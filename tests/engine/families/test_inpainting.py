"""Inpainting models of SD 2.x and SDXL (9 channels) against diffusers' pipelines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from modules.engine.compat.torchvision_ops import make_torchvision_importable
from tests.engine.families.conftest import SIZE, STEPS, Write, made, noise, pipeline, theirs
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_families import TinyFamily, sd2_family, sdxl_family

STRENGTH = 0.7
MADE = int(STRENGTH * STEPS) + 1
SD = {"safety_checker": None, "requires_safety_checker": False}
CASES = {
    "StableDiffusionInpaintPipeline": (sd2_family(9), SD),
    "StableDiffusionXLInpaintPipeline": (sdxl_family(9), {}),
}


@pytest.fixture(autouse=True)
def same_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of the VAE and the engine's noise on both sides."""
    make_torchvision_importable()
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
    from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_inpaint as sd
    from diffusers.pipelines.stable_diffusion_xl import (
        pipeline_stable_diffusion_xl_inpaint as xl,
    )

    monkeypatch.setattr(
        DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode()
    )
    for module in (sd, xl):
        monkeypatch.setattr(module, "randn_tensor", lambda *args, **kwargs: noise())


@pytest.mark.parametrize("name", list(CASES))
def test_an_inpainting_model_equals_the_pipelines(
    studio: Studio, write: Write, photo: Image.Image, hole: Image.Image, name: str
) -> None:
    family: TinyFamily
    family, more = CASES[name]
    job = {
        "kind": "img2img",
        "init_images": [photo],
        "mask": hole,
        "mask_blur": 0,
        "inpainting_fill": 1,
        "inpaint_full_res": False,
        "denoising_strength": STRENGTH,
        "options": {"overlay_inpaint": False},
    }
    ours = made(studio, write(family, "folder"), **job)
    pipe = pipeline(name, write(family, "folder"), **more)
    other = theirs(
        pipe,
        image=photo,
        mask_image=hole,
        width=SIZE,
        height=SIZE,
        strength=MADE / STEPS,
        callback_on_step_end=_blending(photo, hole),
    )
    assert difference(other, np.asarray(photo)) > 50
    assert difference(ours, other) <= 1
    assert difference(made(studio, write(family, "single"), **job), ours) == 0


def _blending(photo: Image.Image, hole: Image.Image) -> Any:
    """For 9 channels their pipeline leaves the unmasked latents to the model; A1111 does not."""
    mask = torch.from_numpy(np.asarray(hole.resize((8, 8), 0)) / 255.0).float()[None, None]

    def blend(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        pixels = pipe.image_processor.preprocess(photo)
        original = pipe.vae.encode(pixels).latent_dist.mode() * pipe.vae.config.scaling_factor
        level = pipe.scheduler.sigmas[pipe.scheduler.step_index]
        kept = original + noise() * level
        return {"latents": torch.lerp(kept, tensors["latents"], mask)}

    return blend
