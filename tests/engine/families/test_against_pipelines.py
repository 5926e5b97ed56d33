"""SD 2.x and SDXL: one file, a folder and diffusers' own pipeline give the same picture."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.families.conftest import SIZE, Write, made, noise, pipeline, theirs
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_families import pruned_sdxl_family, sd2_family, sdxl_family

SD = {"safety_checker": None, "requires_safety_checker": False}


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_sd2_equals_the_pipelines(studio: Studio, write: Write, prediction_type: str) -> None:
    folder = write(sd2_family(), "folder", prediction_type=prediction_type)
    ours = made(studio, folder)
    pipe = pipeline("StableDiffusionPipeline", folder, **SD)
    other = theirs(pipe, width=SIZE, height=SIZE, latents=noise())
    assert other.std() > 2  # a picture, not a plain colour that anything would equal
    assert difference(ours, other) <= 1
    if prediction_type == "epsilon":
        assert difference(made(studio, write(sd2_family(), "single")), ours) == 0
        average = write(sd2_family(), "single", ema_only=True)
        assert difference(made(studio, average), ours) == 0


@pytest.mark.parametrize("family", [sdxl_family(), pruned_sdxl_family()], ids=["base", "pruned"])
def test_sdxl_equals_the_pipelines(studio: Studio, write: Write, family: Any) -> None:
    folder = write(family, "folder")
    ours = made(studio, folder)
    pipe = pipeline("StableDiffusionXLPipeline", folder)
    other = theirs(pipe, width=SIZE, height=SIZE, latents=noise())
    assert other.std() > 2
    assert difference(ours, other) <= 1
    assert difference(made(studio, write(family, "single")), ours) == 0
    if family == sdxl_family():
        assert difference(made(studio, write(family, "single", ema_only=True)), ours) == 0
