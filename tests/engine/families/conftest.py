"""An engine for tiny models of all UNet families, and diffusers' pipelines on the same folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from modules.engine.compat.torchvision_ops import make_torchvision_importable
from modules.engine.sampling import NoiseSource
from tests.engine.generation.conftest import Studio, photo
from tests.engine.generation.conftest import hole as hole
from tests.support import tiny_families
from tests.support.tiny_families import TinyFamily

__all__ = ["hole", "photo"]

SIZE = 64
STEPS = 5
SEED = 11
PROMPT, NEGATIVE = "a red apple, on a table", "blurry"
JOB: dict[str, Any] = {
    "prompt": PROMPT,
    "negative_prompt": NEGATIVE,
    "width": SIZE,
    "height": SIZE,
    "steps": STEPS,
    "cfg_scale": 6.0,
    "seed": SEED,
    "sampler_name": "Euler",
    "scheduler": "Uniform",
}
OPTIONS = {"randn_source": "CPU", "batch_cond_uncond": False}
"""Prompt and negative prompt one after the other: saves measuring which is faster, per model."""

Write = Callable[..., Path]


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Writes a tiny model once per session and way of writing it."""
    known: dict[str, Path] = {}
    numbers = iter(range(1000))

    def once(family: TinyFamily, layout: str, **ways: Any) -> Path:
        key = repr((family, layout, ways))
        if key not in known:
            folder = tmp_path_factory.mktemp(f"family{next(numbers)}")
            known[key] = tiny_families.write(folder, family, layout, **ways)
        return known[key]

    return once


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """One engine for all tests of the room; jobs name their checkpoint."""
    return Studio(tmp_path_factory.mktemp("data"), Path("no-checkpoint"))


def made(studio: Studio, checkpoint: Path, **fields: Any) -> np.ndarray:
    """The engine's picture of the room's usual job."""
    options = {**OPTIONS, **fields.pop("options", {})}
    return studio.picture(checkpoint=checkpoint, options=options, **{**JOB, **fields})


def noise() -> torch.Tensor:
    """The noise that the engine draws for the room's seed."""
    shape = (4, SIZE // 8, SIZE // 8)
    return NoiseSource([SEED], [0], 0.0, (0, 0), shape=shape, rng="CPU", device="cpu").initial()


def pipeline(name: str, folder: Path, **more: Any) -> Any:
    """diffusers' pipeline with Euler's scheduler at the engine's noise levels."""
    make_torchvision_importable()
    import diffusers

    pipe = getattr(diffusers, name).from_pretrained(folder, local_files_only=True, **more)
    pipe.set_progress_bar_config(disable=True)
    kept = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "prediction_type")
    config = {key: pipe.scheduler.config[key] for key in kept}
    pipe.scheduler = diffusers.EulerDiscreteScheduler(**config, timestep_spacing="linspace")
    return pipe


def theirs(pipe: Any, **arguments: Any) -> np.ndarray:
    """The pipeline's picture of the room's usual job, [height, width, 3] in 8 bits."""
    usual: dict[str, Any] = {
        "prompt": PROMPT,
        "negative_prompt": NEGATIVE,
        "num_inference_steps": STEPS,
        "guidance_scale": 6.0,
        "output_type": "pil",
    }
    with torch.inference_mode():
        return np.asarray(pipe(**{**usual, **arguments}).images[0])
