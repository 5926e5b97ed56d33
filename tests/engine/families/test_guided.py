"""Latent consistency models that are told the CFG scale: no negative prompt, as diffusers does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.engine.families.conftest import JOB, OPTIONS, SIZE, Write, made, noise, pipeline, theirs
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_families import TinyFamily, sd2_family, sdxl_family

KNOWN = {"modelspec.prediction_type": "epsilon"}
CASES: dict[str, tuple[TinyFamily, dict[str, Any]]] = {
    "StableDiffusionPipeline": (
        sd2_family(),
        {"safety_checker": None, "requires_safety_checker": False},
    ),
    "StableDiffusionXLPipeline": (sdxl_family(), {}),
}


@pytest.mark.parametrize("name", list(CASES))
def test_the_scale_is_told_to_the_network(studio: Studio, write: Write, name: str) -> None:
    family, more = CASES[name]
    guided = replace(family, unet={**family.unet, "time_cond_proj_dim": 32})
    folder = write(guided, "folder")
    result = studio.make(**{**JOB, "checkpoint": folder, "options": OPTIONS})
    pipe = pipeline(name, folder, **more)
    other = theirs(pipe, width=SIZE, height=SIZE, latents=noise())
    assert difference(result.pictures[0], other) <= 1
    assert difference(made(studio, folder, cfg_scale=2.0), other) > 0
    assert difference(made(studio, folder, negative_prompt="green"), other) <= 1
    file = write(guided, "single", prediction_type="epsilon", metadata=KNOWN)
    assert difference(made(studio, file), other) <= 1
