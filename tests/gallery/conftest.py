"""Fixtures of the gallery's tests: paths in a temporary folder, default settings, one result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from modules.requests.generation import GenerationRequest
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths
from modules.settings.tables import build_table

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.from_flags(parse_flags(["--data-dir", str(tmp_path / "data")]))


@pytest.fixture
def options() -> dict[str, Any]:
    return build_table().defaults()


@pytest.fixture
def request_fields() -> dict[str, Any]:
    return GenerationRequest(prompt="a cat", steps=20, width=64, height=48).model_dump()


@pytest.fixture
def facts() -> dict[str, Any]:
    return {
        "seed": 1234,
        "subseed": 99,
        "prompt": "a cat, (sharp:1.2)",
        "negative_prompt": "blurry",
        "width": 64,
        "height": 48,
        "steps": 20,
        "sampler_name": "DPM++ 2M",
        "schedule_label": "Karras",
        "cfg_scale": 7.0,
        "model_name": "easel-starter",
        "model_hash": "0123456789",
        "vae_name": None,
        "vae_hash": None,
        "clip_skip": 1,
        "extra": {"Eta": 0.5},
    }
