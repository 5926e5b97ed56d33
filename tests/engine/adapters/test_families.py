"""LoRA and learned words on families with several text encoders and on transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.engine.generation.conftest import Studio
from tests.support import tiny_families

Rand = Callable[..., Tensor]
JOB = {"steps": 2, "width": 64, "height": 64}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(tmp_path_factory.mktemp("data"), Path("no-checkpoint"))


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdxl")
    return tiny_families.write(folder, tiny_families.sdxl_family(), "single")


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from modules.engine.compat.torchvision_ops import make_torchvision_importable
    from tests.support import tiny_dit

    make_torchvision_importable()
    return tiny_dit.make(tmp_path_factory.mktemp("flux"), tiny_dit.flux()).folder


def entry(path: Path, names: dict[str, torch.nn.Module], rand: Rand) -> dict[str, Any]:
    """A strong LoRA for these layers, by the names they have in the file."""
    tensors = {}
    for name, layer in names.items():
        outputs, inputs = layer.weight.shape[:2]
        tensors[f"{name}.lora_up.weight"] = rand(outputs, 4) * 3
        tensors[f"{name}.lora_down.weight"] = rand(4, inputs) * 3
    save_file(tensors, str(path))
    return {"path": str(path)}


def test_both_text_encoders_and_the_unet_of_sdxl_have_their_names(
    studio: Studio, sdxl: Path, tmp_path: Path, rand: Rand
) -> None:
    def make(prompt: str, **resources: Any) -> np.ndarray:
        result = studio.make(prompt=prompt, checkpoint=sdxl, resources=resources, **JOB)
        assert result.done
        assert not result.warnings, result.warnings
        return result.pictures[0]

    plain = make("a red apple")
    networks = studio.engine.models.current.networks
    state = {
        key: {name: weight.clone() for name, weight in network.state_dict().items()}
        for key, network in networks.items()
    }
    layer = "encoder.layers.0.self_attn.q_proj"
    second = networks["text_encoder_2"]
    second_layer = f"text_model.{layer}" if hasattr(second, "text_model") else layer
    blocks = [name for name, _ in networks["unet"].named_modules() if name.endswith("attn2.to_k")]
    diffusers = "lora_unet_" + blocks[0].replace(".", "_")
    loras = {
        "first": {
            "lora_te1_text_model_" + layer.replace(".", "_"): networks[
                "text_encoder"
            ].get_submodule(layer)
        },
        "second": {
            "lora_te2_text_model_" + layer.replace(".", "_"): second.get_submodule(second_layer)
        },
        "unet": {diffusers: networks["unet"].get_submodule(blocks[0])},
    }
    given = {
        name: entry(tmp_path / f"{name}.safetensors", one, rand) for name, one in loras.items()
    }
    pictures = {plain.tobytes()}
    for name in loras:
        pictures.add(make(f"a red apple<lora:{name}:1>", loras=given).tobytes())
    assert len(pictures) == 4
    assert (make("a red apple") == plain).all()
    for key, network in networks.items():
        now = network.state_dict()
        assert all(torch.equal(now[name], old) for name, old in state[key].items())


def test_a_learned_word_of_sdxl_has_vectors_for_both_encoders(
    studio: Studio, sdxl: Path, tmp_path: Path, rand: Rand
) -> None:
    model = studio.engine.load(str(sdxl))
    widths = [tower.width for tower in model.conditioner.towers]
    path = tmp_path / "zorblax.safetensors"
    save_file({"clip_l": rand(2, widths[0]), "clip_g": rand(2, widths[1])}, str(path))
    given = {"embeddings": [{"name": "zorblax", "path": str(path)}]}
    prompt = "a zorblax apple"
    plain = studio.make(prompt=prompt, checkpoint=sdxl, **JOB)
    learned = studio.make(prompt=prompt, checkpoint=sdxl, resources=given, **JOB)
    assert learned.extra["TI hashes"].startswith("zorblax: ")
    assert (learned.pictures[0] != plain.pictures[0]).any()
    save_file({"emb_params": rand(2, widths[0])}, str(path))
    told = studio.make(prompt=prompt, checkpoint=sdxl, resources=given, **JOB)
    assert "do not fit the text encoder" in told.warnings[0]
    assert (told.pictures[0] == plain.pictures[0]).all()


def test_a_lora_of_flux_in_its_original_names(
    studio: Studio, flux: Path, tmp_path: Path, rand: Rand
) -> None:
    job = {**JOB, "cfg_scale": 1, "checkpoint": flux}
    plain = studio.make(prompt="a red apple", **job)
    network = studio.engine.models.current.networks["unet"]
    width = network.transformer_blocks[0].attn.to_q.weight.shape[0]
    rows = 3 * width
    path = tmp_path / "flux.safetensors"
    name = "lora_unet_double_blocks_0_img_attn_qkv"
    save_file(
        {
            f"{name}.lora_up.weight": rand(rows, 4) * 3,
            f"{name}.lora_down.weight": rand(4, width) * 3,
        },
        str(path),
    )
    given = {"loras": {"flux": {"path": str(path)}}}
    result = studio.make(prompt="a red apple<lora:flux:1>", resources=given, **job)
    assert result.done
    assert not result.warnings
    assert (result.pictures[0] != plain.pictures[0]).any()
    again = studio.make(prompt="a red apple", **job)
    assert (again.pictures[0] == plain.pictures[0]).all()


def test_a_lora_of_another_family_leaves_the_picture_alone(
    studio: Studio, sdxl: Path, flux: Path, tmp_path: Path, rand: Rand
) -> None:
    path = tmp_path / "flux.safetensors"
    name = "lora_unet_double_blocks_0_img_attn_qkv"
    save_file(
        {f"{name}.lora_up.weight": rand(96, 4), f"{name}.lora_down.weight": rand(4, 32)}, str(path)
    )
    given = {"loras": {"flux": {"path": str(path)}}}
    plain = studio.make(prompt="a red apple", checkpoint=sdxl, **JOB)
    result = studio.make(prompt="a red apple<lora:flux:1>", checkpoint=sdxl, resources=given, **JOB)
    assert "made for FLUX.1; there is no layer" in result.warnings[0]
    assert (result.pictures[0] == plain.pictures[0]).all()
    assert "Lora hashes" not in result.extra
