"""Tiny models for the loader's tests, built once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.support.tiny_models import REPOSITORY, TinyComponents, tiny_components, tiny_sd

tiny = partial(tiny_sd, with_tokenizer=False)
"""Tiny models that share the shipped tokenizer."""


@dataclass(frozen=True)
class EnginePaths:
    """The folders a model manager needs."""

    checkpoint_dirs: tuple[Path, ...]
    cache: Path
    vae_approx: Path
    configs: Path = REPOSITORY / "configs"


@pytest.fixture
def engine_paths(tmp_path: Path) -> EnginePaths:
    return EnginePaths((tmp_path / "models",), tmp_path / "cache", tmp_path / "VAE-approx")


@pytest.fixture(scope="session")
def apple() -> TinyComponents:
    """Networks of one tiny model."""
    return tiny_components(seed=1)


@pytest.fixture(scope="session")
def pear() -> TinyComponents:
    """Networks of another tiny model of the same shape."""
    return tiny_components(seed=2)
