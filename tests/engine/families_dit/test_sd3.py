"""SD3 and SD 3.5: one file, a folder and diffusers' own pipeline give the same picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.engine.families_dit.conftest import (
    JOB,
    NEGATIVE,
    OPTIONS,
    Build,
    made,
    noise,
    theirs,
)
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_dit import original_transformer, sd3, write_part, write_single


@pytest.mark.parametrize("kind", ["medium", "3.5 medium"])
def test_sd3_equals_the_pipeline(studio: Studio, build: Build, tmp_path: Path, kind: str) -> None:
    model = build(sd3(kind))
    ours = made(studio, model.folder)
    other = theirs(model.pipe, negative_prompt=NEGATIVE, guidance_scale=4.0, latents=noise())
    assert other.std() > 2  # a picture, not a plain colour that anything would equal
    assert difference(ours, other) <= 1
    single = write_single(tmp_path / "sd3.safetensors", model)
    assert difference(made(studio, single), ours) == 0


def test_skip_layer_guidance_equals_the_pipelines(studio: Studio, build: Build) -> None:
    model = build(sd3("3.5 medium"))
    options = {**OPTIONS, "sd3_slg_scale": 2.5, "sd3_slg_layers": "0 40", "sd3_slg_end": 0.7}
    result = studio.make(**JOB, checkpoint=model.folder, options=options)
    guided = {
        "skip_guidance_layers": [0],
        "skip_layer_guidance_scale": 2.5,
        "skip_layer_guidance_start": 0.01,
        "skip_layer_guidance_stop": 0.7,
    }
    usual = {"negative_prompt": NEGATIVE, "guidance_scale": 4.0, "latents": noise()}
    assert difference(result.pictures[0], theirs(model.pipe, **usual, **guided)) <= 1
    assert difference(result.pictures[0], made(studio, model.folder)) > 1
    assert (result.extra["SLG scale"], result.extra["SLG layers"]) == (2.5, "0 40")
    # Without a negative prompt there is no guidance to go with it.
    plain = {**JOB, "cfg_scale": 1.0, "checkpoint": model.folder}
    alone = studio.make(**plain, options=options)
    assert difference(alone.pictures[0], studio.make(**plain, options=OPTIONS).pictures[0]) == 0
    assert "SLG scale" not in alone.extra


def test_the_single_files_of_these_tests_are_what_diffusers_takes_for_sd3(build: Build) -> None:
    from diffusers.loaders.single_file_utils import (
        convert_sd3_transformer_checkpoint_to_diffusers,
    )

    model = build(sd3("3.5 medium"))
    back = convert_sd3_transformer_checkpoint_to_diffusers(original_transformer(model))
    state = model.parts["transformer"].state_dict()
    assert back.keys() == state.keys()
    assert all(bool((back[name] == value).all()) for name, value in state.items())


def test_without_t5_zeros_stand_in_its_place(studio: Studio, build: Build, tmp_path: Path) -> None:
    model = build(sd3(t5=False))
    ours = made(studio, model.folder)
    other = theirs(model.pipe, negative_prompt=NEGATIVE, guidance_scale=4.0, latents=noise())
    assert difference(ours, other) <= 1
    single = write_single(tmp_path / "sd3.safetensors", model)
    assert difference(made(studio, single), ours) == 0


def test_a_setting_leaves_t5_out_and_takes_it_in_again(studio: Studio, build: Build) -> None:
    model = build(sd3())
    usual = made(studio, model.folder)
    without = made(studio, model.folder, options={"sd3_enable_t5": False})
    assert difference(without, usual) > 0
    assert "text_encoder_3" not in studio.engine.load(str(model.folder)).networks
    assert difference(made(studio, model.folder), usual) == 0


def test_text_encoders_and_vae_are_found_in_their_folders(
    studio: Studio, build: Build, tmp_path: Path
) -> None:
    model = build(sd3())
    alone = write_single(tmp_path / "Stable-diffusion" / "sd3.safetensors", model, parts=())
    for name in ("clip_l", "clip_g", "t5"):
        write_part(tmp_path / "text_encoder" / f"{name}.safetensors", model, name)
    write_part(tmp_path / "VAE" / "sd3_vae.safetensors", model, "vae")
    assert difference(made(studio, alone), made(studio, model.folder)) == 0


def test_sizes_that_are_no_whole_patches_work(studio: Studio, build: Build) -> None:
    picture = made(studio, build(sd3()).folder, width=72, height=56)
    assert picture.shape == (56, 72, 3)


def test_a_picture_to_start_from_equals_the_pipelines(
    studio: Studio, build: Build, photo: Image.Image
) -> None:
    import numpy as np
    import torch
    from diffusers import StableDiffusion3Img2ImgPipeline

    model = build(sd3())
    ours = made(
        studio, model.folder, kind="img2img", init_images=[photo], denoising_strength=0.5, steps=8
    )
    pipe = StableDiffusion3Img2ImgPipeline(**model.pipe.components)
    pipe.set_progress_bar_config(disable=True)
    with torch.inference_mode():
        pixels = torch.from_numpy(np.asarray(photo.convert("RGB"))).permute(2, 0, 1) / 127.5 - 1
        mean = pipe.vae.encode(pixels[None].float()).latent_dist.mean
        config = pipe.vae.config
        latents = (mean - config.shift_factor) * config.scaling_factor
        pipe.scheduler.set_timesteps(8)
        # A1111 makes int(strength * steps) + 1 steps: one more than diffusers.
        start = 8 - 5
        pipe.scheduler.set_begin_index(start)
        mixed = pipe.scheduler.scale_noise(
            latents, pipe.scheduler.timesteps[start : start + 1], noise()
        )
        x = mixed
        positive, negative, pooled, negative_pooled = pipe.encode_prompt(
            "a red apple, on a table", None, None, negative_prompt=NEGATIVE
        )
        for time in pipe.scheduler.timesteps[start:]:
            guess, other = (
                pipe.transformer(
                    hidden_states=x,
                    timestep=time[None],
                    encoder_hidden_states=states,
                    pooled_projections=summary,
                    return_dict=False,
                )[0]
                for states, summary in ((positive, pooled), (negative, negative_pooled))
            )
            x = pipe.scheduler.step(other + 4.0 * (guess - other), time, x, return_dict=False)[0]
        pixels = pipe.vae.decode(x / config.scaling_factor + config.shift_factor).sample
        image = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round()[0].permute(1, 2, 0)
    assert difference(ours, image.numpy().astype(np.uint8)) <= 1
