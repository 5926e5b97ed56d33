"""A photograph of 56x40 pixels, and the upscalers as a job's resources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modules.catalog.upscalers import list_upscalers
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths

DATA = Path(__file__).parent / "data"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """An installation whose own models folder is empty."""
    return Paths.from_flags(parse_flags(["--data-dir", str(tmp_path / "data")]))


@pytest.fixture
def resources(paths: Paths) -> dict[str, Any]:
    """Every upscaler, as a job carries them."""
    return {"upscalers": {info.name: info.to_json() for info in list_upscalers(paths)}}


@pytest.fixture
def photo() -> Image.Image:
    """A detail of a portrait (NASA, public domain)."""
    return Image.open(DATA / "astronaut.png").convert("RGB")
