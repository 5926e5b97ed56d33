"""A tiny CLIP text model with the shipped tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.engine.conditioning.towers import ClipTower
from tests.support.tiny_models import TOKENIZER, TinyShape, tiny_components


@pytest.fixture(scope="session")
def tower() -> ClipTower:
    """Three layers, width 64."""
    shape = TinyShape(unet_channels=(32,), unet_attention=(True,), vae_channels=(32,))
    return ClipTower(tiny_components(seed=6, shape=shape).text_encoder, Path(TOKENIZER))
