"""InstructPix2Pix models of SDXL (8 channels) against diffusers' pipeline."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from tests.engine.families.conftest import STEPS, Write, made, noise, pipeline, theirs
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_families import sdxl_family


@pytest.mark.parametrize("image_cfg_scale", [1.0, 1.5])
def test_an_editing_model_equals_the_pipelines(
    studio: Studio, write: Write, photo: Image.Image, image_cfg_scale: float
) -> None:
    folder = write(sdxl_family(8), "folder")
    ours = made(
        studio,
        folder,
        kind="img2img",
        init_images=[photo],
        denoising_strength=1.0,
        image_cfg_scale=image_cfg_scale,
    )
    pipe = pipeline("StableDiffusionXLInstructPix2PixPipeline", folder)
    pipe.scheduler.set_timesteps(STEPS)
    pixels = pipe.image_processor.preprocess(photo)
    with torch.inference_mode():
        latents = pipe.vae.encode(pixels).latent_dist.mode() * pipe.vae.config.scaling_factor
    start = latents + noise() * pipe.scheduler.sigmas[0]
    other = theirs(
        pipe,
        image=photo,
        height=64,
        width=64,
        image_guidance_scale=image_cfg_scale,
        latents=start / pipe.scheduler.init_noise_sigma,
    )
    assert difference(other, np.asarray(photo)) > 50
    assert difference(ours, other) <= 1
