"""The photo, pictures made of it, and restoring networks with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from modules.catalog.restorers import RestorerInfo

PHOTO = Path(__file__).parent / "data" / "astronaut.png"
"""320x256, a detail of NASA's portrait of Eileen Collins (public domain), from scikit-image."""


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    return Image.open(PHOTO).convert("RGB")


@pytest.fixture(scope="session")
def two_faces(photo: Image.Image) -> Image.Image:
    picture = Image.new("RGB", (640, 320), "gray")
    picture.paste(photo, (0, 32))
    mirrored = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    picture.paste(mirrored.resize((240, 192), Image.Resampling.BICUBIC), (360, 64))
    return picture


@pytest.fixture(scope="session")
def gfpgan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GFPGAN's own network with its 512 pixels, a thirty-second as wide, with random weights."""
    from modules.engine.postprocess.faces.gfpgan_network import GFPGANv1Clean

    torch.manual_seed(0)
    network = GFPGANv1Clean(
        512, 16, 2, None, False, 8, input_is_latent=True, different_w=True, narrow=1 / 32,
        sft_half=True,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("GFPGAN") / "GFPGANv1.4.pth"
    torch.save({"params_ema": network.state_dict()}, path)
    return path


@pytest.fixture
def resources(gfpgan_file: Path) -> dict[str, Any]:
    return with_file(gfpgan_file)


def with_file(path: Path, name: str = "GFPGAN") -> dict[str, Any]:
    """A job's resources that name this file."""
    info = RestorerInfo(name, path, f"https://example.invalid/{path.name}", "")
    return {"restorers": {name: info.to_json()}}
