"""SDXL's refiner: it takes over from the base as in diffusers' ensemble, told its own scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engine.families.conftest import (
    NEGATIVE,
    PROMPT,
    SIZE,
    Write,
    made,
    noise,
    pipeline,
    theirs,
)
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_families import refiner_family, sd2_family, sdxl_family


@pytest.fixture(scope="module")
def base(write: Write) -> Path:
    return write(sdxl_family(), "folder")


@pytest.fixture(scope="module")
def refiner(write: Write) -> Path:
    return write(refiner_family(), "folder", seed=3)


def refined(studio: Studio, base: Path, refiner: Path, **fields: object) -> np.ndarray:
    return made(
        studio,
        base,
        refiner_checkpoint="refiner",
        refiner_switch_at=0.5,
        resources={"refiner": str(refiner)},
        **fields,
    )


def test_base_and_refiner_equal_the_pipelines(
    studio: Studio, base: Path, refiner: Path, write: Write
) -> None:
    ours = refined(studio, base, refiner)
    first = pipeline("StableDiffusionXLPipeline", base)
    usual = {
        "prompt": PROMPT,
        "negative_prompt": NEGATIVE,
        "guidance_scale": 6.0,
        "num_inference_steps": 5,
    }
    with torch.inference_mode():
        handed_over = first(
            **usual,
            width=SIZE,
            height=SIZE,
            latents=noise(),
            denoising_end=0.5,
            output_type="latent",
        ).images
    second = pipeline("StableDiffusionXLImg2ImgPipeline", refiner)
    other = theirs(
        second,
        image=handed_over,
        denoising_start=0.5,
        original_size=(SIZE, SIZE),
        target_size=(SIZE, SIZE),
    )
    assert other.std() > 2
    assert difference(ours, other) <= 1
    assert difference(ours, made(studio, base)) > 1
    assert difference(refined(studio, base, write(refiner_family(), "single", seed=3)), ours) == 0


def test_the_scores_of_the_settings_reach_prompt_and_negative_prompt(
    studio: Studio, refiner: Path
) -> None:
    usual = made(studio, refiner)
    for name in ("sdxl_refiner_high_aesthetic_score", "sdxl_refiner_low_aesthetic_score"):
        changed = made(studio, refiner, options={name: 9.5})
        assert difference(changed, usual) > 0
    same = {"sdxl_refiner_high_aesthetic_score": 4.0, "sdxl_refiner_low_aesthetic_score": 4.0}
    together = made(studio, refiner, options={**same, "batch_cond_uncond": True})
    apart = made(studio, refiner, options=same)
    assert difference(together, apart) <= 1


def test_a_refiner_of_another_family_is_refused(studio: Studio, base: Path, write: Write) -> None:
    result = studio.make(
        checkpoint=base,
        refiner_checkpoint="other",
        resources={"refiner": str(write(sd2_family(), "folder"))},
    )
    assert result.failed.failure == "input"
    assert "another family (sd2)" in result.failed.message
