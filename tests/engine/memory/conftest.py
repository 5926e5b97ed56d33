"""Engines in all memory modes over one tiny model in 16 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modules.engine.generation import packed_conv
from modules.engine.runner import Engine
from tests.engine.generation.conftest import Studio
from tests.support.tiny_models import tiny_sd

MakeStudio = Callable[..., Studio]


@pytest.fixture(scope="session")
def half_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random SD 1.x model as one file in 16 bits."""
    return tiny_sd(tmp_path_factory.mktemp("half"), layout="single", dtype="float16", seed=11)


@pytest.fixture(scope="package", autouse=True)
def plain_convolutions() -> Iterator[None]:
    """Packed weights are kept for networks in the usual form alone, and round a little otherwise:
    without them pictures can be compared bit by bit."""
    most, packed_conv.MOST_MEGABYTES = packed_conv.MOST_MEGABYTES, 0
    yield
    packed_conv.MOST_MEGABYTES = most


@pytest.fixture(scope="package")
def make_studio(tmp_path_factory: pytest.TempPathFactory, half_checkpoint: Path) -> MakeStudio:
    """Start an engine with flags."""

    def make(**flags: Any) -> Studio:
        studio = Studio(tmp_path_factory.mktemp("data"), half_checkpoint)
        told = {"no_hashing": True, "no_half": True, **flags}
        studio.engine = Engine(studio.paths, told, lambda event: studio._listen(event))
        return studio

    return make


@pytest.fixture(scope="package")
def plain(make_studio: MakeStudio) -> Studio:
    """An engine without any memory mode."""
    return make_studio()
