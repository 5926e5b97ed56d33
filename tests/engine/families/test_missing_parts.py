"""Files without text encoders or a VAE: parts that lie around are taken, else one sentence says
which file to put where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from modules.catalog.errors import UnsupportedModelError
from modules.engine.checkpoints.planning import plan_model
from tests.engine.families.conftest import Write, made
from tests.engine.generation.conftest import Studio, difference
from tests.support import tiny_families
from tests.support.tiny_families import (
    Made,
    TinyFamily,
    make,
    open_clip,
    refiner_family,
    sd2_family,
    sdxl_family,
)
from tests.support.tiny_models import REPOSITORY, tiny_components, tiny_sd

CONFIGS = REPOSITORY / "configs"
WIDE = replace(sd2_family(), unet={**sd2_family().unet, "cross_attention_dim": 1024})
"""As wide as the real ones, by which a UNet alone is told."""


def alone(tmp_path: Path, family: TinyFamily, *without: str) -> Path:
    """A checkpoint without some parts, in a folder tree of its own."""
    folder = tmp_path / "models" / "Stable-diffusion" / "mine"
    return tiny_families.write(folder, family, "single", without=without)


def put(tmp_path: Path, network: Any, name: str, layout: str = "transformers") -> None:
    """A text encoder's file where other programs look for it."""
    folder = tmp_path / "models" / "text_encoder"
    folder.mkdir(parents=True, exist_ok=True)
    state = open_clip(network, "") if layout == "OpenCLIP" else network.state_dict()
    if layout != "OpenCLIP":
        whole = ("text_model.", "text_projection.")
        state = {k if k.startswith(whole) else f"text_model.{k}": v for k, v in state.items()}
    save_file({k: v.contiguous().clone() for k, v in state.items()}, folder / name)


@pytest.mark.parametrize(
    ("family", "without", "said"),
    [
        (WIDE, "text_encoder", "no text encoder (OpenCLIP ViT-H); put clip_h.safetensors"),
        (sdxl_family(), "text_encoder_2", "(OpenCLIP bigG); put clip_g.safetensors into models/te"),
        (sdxl_family(), "text_encoder", "(CLIP-L); put clip_l.safetensors into models/text_encod"),
        (sdxl_family(), "vae", "has no VAE; put one (such as sdxl_vae.safetensors) into models/V"),
        (sd2_family(), "vae", "has no VAE; put one (such as vae-ft-mse-840000-ema-pruned.safete"),
    ],
)
def test_a_missing_part_is_named_with_its_file_and_folder(
    tmp_path: Path, family: TinyFamily, without: str, said: str
) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        plan_model(alone(tmp_path, family, without), None, CONFIGS)
    assert said in caught.value.sentence
    assert caught.value.sentence.startswith("tiny.safetensors: ")


def test_text_encoders_are_taken_from_the_folder_of_other_programs(
    studio: Studio, write: Write, tmp_path: Path
) -> None:
    family = sdxl_family()
    networks: Made = make(family)
    file = alone(tmp_path, family, "text_encoder", "text_encoder_2")
    put(tmp_path, networks.texts["text_encoder"], "clip_l.safetensors")
    put(tmp_path, networks.texts["text_encoder_2"], "clip_g.safetensors", "OpenCLIP")
    (tmp_path / "models" / "text_encoder" / "broken.safetensors").write_bytes(b"no")
    assert difference(made(studio, file), made(studio, write(family, "folder"))) == 0


def test_a_model_of_the_first_family_finds_its_text_encoder_too(
    studio: Studio, tmp_path: Path
) -> None:
    components = tiny_components(seed=4)
    folder = tmp_path / "models" / "Stable-diffusion"
    whole = tiny_sd(tmp_path, layout="single", components=components, dtype="float32")
    less = tiny_sd(
        folder, layout="single", components=components, dtype="float32", with_text_encoder=False
    )
    with pytest.raises(UnsupportedModelError, match="put clip_l"):
        plan_model(less, None, CONFIGS)
    put(tmp_path, components.text_encoder, "clip_l.safetensors")
    assert difference(made(studio, less), made(studio, whole)) == 0


def test_a_refiner_alone_is_told_by_the_width_of_its_only_encoder(
    studio: Studio, write: Write, tmp_path: Path
) -> None:
    family = refiner_family()
    file = alone(tmp_path, family, "text_encoder_2")
    put(tmp_path, make(family).texts["text_encoder_2"], "clip_g.safetensors")
    assert difference(made(studio, file), made(studio, write(family, "folder"))) == 0
