"""FLUX.1: one file, a folder and diffusers' own pipeline give the same picture."""

from __future__ import annotations

from pathlib import Path

import pytest

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
from tests.support.tiny_dit import flux, write_part, write_single


def _packed(build: Build, **sizes: int) -> object:
    """The noise as FluxPipeline takes it: places of 2x2 latent pixels."""
    from diffusers import FluxPipeline

    x = noise(**sizes)
    return FluxPipeline._pack_latents(x, 1, 16, *x.shape[-2:])


@pytest.mark.parametrize("kind", ["dev", "schnell"])
def test_flux_equals_the_pipeline(studio: Studio, build: Build, tmp_path: Path, kind: str) -> None:
    model = build(flux(kind))
    ours = made(studio, model.folder, cfg_scale=1.0)
    length = 512 if kind == "dev" else 256
    other = theirs(
        model.pipe, guidance_scale=3.5, max_sequence_length=length, latents=_packed(build)
    )
    assert other.std() > 2
    assert difference(ours, other) <= 1
    single = write_single(tmp_path / "flux.safetensors", model)
    assert difference(made(studio, single, cfg_scale=1.0), ours) == 0


def test_a_cfg_scale_above_1_is_guidance_by_the_negative_prompt(
    studio: Studio, build: Build
) -> None:
    model = build(flux())
    ours = made(studio, model.folder, cfg_scale=3.0, distilled_cfg_scale=2.0)
    other = theirs(
        model.pipe,
        negative_prompt=NEGATIVE,
        true_cfg_scale=3.0,
        guidance_scale=2.0,
        latents=_packed(build),
    )
    assert difference(ours, other) <= 1


def test_the_second_pass_may_be_told_another_guidance(studio: Studio, build: Build) -> None:
    job = {**JOB, "checkpoint": build(flux()).folder, "options": OPTIONS, "cfg_scale": 1.0}
    job |= {"enable_hr": True, "hr_scale": 1.25, "hr_upscaler": "Latent", "steps": 2}
    plain = studio.make(**job)
    other = studio.make(**job, hr_distilled_cfg=9.0)
    assert other.extra["Distilled CFG Scale"] == 3.5
    assert other.extra["Hires Distilled CFG Scale"] == 9.0
    assert difference(plain.pictures[0], other.pictures[0]) > 0
    assert "Hires Distilled CFG Scale" not in plain.extra
    same = studio.make(**job, hr_distilled_cfg=3.5).pictures[0]
    assert difference(plain.pictures[0], same) == 0


def test_oblong_pictures_equal_the_pipelines(studio: Studio, build: Build) -> None:
    model = build(flux())
    ours = made(studio, model.folder, cfg_scale=1.0, width=96, height=64)
    other = theirs(model.pipe, width=96, height=64, latents=_packed(build, width=96, height=64))
    assert difference(ours, other) <= 1


def test_the_transformer_alone_finds_its_parts(
    studio: Studio, build: Build, tmp_path: Path
) -> None:
    model = build(flux("schnell"))
    alone = write_single(tmp_path / "Stable-diffusion" / "flux1.safetensors", model, parts=())
    for name in ("clip_l", "t5"):
        write_part(tmp_path / "text_encoder" / f"{name}.safetensors", model, name)
    write_part(tmp_path / "VAE" / "ae.safetensors", model, "vae")
    ours = made(studio, alone, cfg_scale=1.0)
    assert difference(ours, made(studio, model.folder, cfg_scale=1.0)) == 0
