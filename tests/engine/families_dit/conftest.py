"""An engine for tiny models of the transformer families, and diffusers' pipelines on the same."""

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
from tests.support.tiny_dit import Made, TinyDit, make

__all__ = ["photo"]

SIZE = 64
STEPS = 4
SEED = 11
PROMPT, NEGATIVE = "a red apple, on a table", "blurry"
JOB: dict[str, Any] = {
    "prompt": PROMPT,
    "negative_prompt": NEGATIVE,
    "width": SIZE,
    "height": SIZE,
    "steps": STEPS,
    "cfg_scale": 4.0,
    "seed": SEED,
    "sampler_name": "Euler",
    "scheduler": "Automatic",
}
OPTIONS = {"randn_source": "CPU"}

Build = Callable[[TinyDit], Made]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Makes each tiny model once per session."""
    make_torchvision_importable()
    known: dict[str, Made] = {}

    def once(kind: TinyDit) -> Made:
        if repr(kind) not in known:
            known[repr(kind)] = make(tmp_path_factory.mktemp("dit"), kind)
        return known[repr(kind)]

    return once


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """One engine for all tests of the room; jobs name their checkpoint."""
    return Studio(tmp_path_factory.mktemp("data"), Path("no-checkpoint"))


def made(studio: Studio, checkpoint: Path, **fields: Any) -> np.ndarray:
    """The engine's picture of the room's usual job."""
    options = {**OPTIONS, **fields.pop("options", {})}
    return studio.picture(checkpoint=checkpoint, options=options, **{**JOB, **fields})


def noise(width: int = SIZE, height: int = SIZE) -> torch.Tensor:
    """The noise that the engine draws for the room's seed."""
    shape = (16, height // 8, width // 8)
    return NoiseSource([SEED], [0], 0.0, (0, 0), shape=shape, rng="CPU", device="cpu").initial()


def theirs(pipe: Any, **arguments: Any) -> np.ndarray:
    """The pipeline's picture of the room's usual job, [height, width, 3] in 8 bits."""
    usual: dict[str, Any] = {
        "prompt": PROMPT,
        "width": SIZE,
        "height": SIZE,
        "num_inference_steps": STEPS,
        "output_type": "pil",
    }
    with torch.inference_mode():
        return np.asarray(pipe(**{**usual, **arguments}).images[0])
