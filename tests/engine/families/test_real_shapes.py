"""Headers of the published models' sizes: what shapes tell gives their very networks.

Nothing is read or computed: the headers are made from networks without memory, the expected
numbers of weights are those of the published files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from modules.catalog.families import detect_family
from modules.catalog.header import Header, TensorEntry
from modules.catalog.sidecar import Sidecar
from modules.engine.checkpoints.components import build_empty
from modules.engine.checkpoints.families import LOADERS
from modules.engine.compat.torchvision_ops import make_torchvision_importable
from tests.support.tiny_families import Made, TinyFamily, original
from tests.support.tiny_models import REPOSITORY, TinyShape

CONFIGS = REPOSITORY / "configs"
BOTH = ("text_encoder", "text_encoder_2")
CASES: dict[str, tuple[str, tuple[str, ...], dict[str, Any], int]] = {
    "SD 2.1": ("sd2", ("text_encoder",), {}, 865_910_724),
    "SDXL base": ("sdxl", BOTH, {}, 2_567_463_684),
    "SDXL refiner": (
        "sdxl",
        ("text_encoder_2",),
        {
            "block_out_channels": [384, 768, 1536, 1536],
            "attention_head_dim": [6, 12, 24, 24],
            "cross_attention_dim": 1280,
            "projection_class_embeddings_input_dim": 2560,
            "transformer_layers_per_block": 4,
            "down_block_types": ["DownBlock2D", *["CrossAttnDownBlock2D"] * 2, "DownBlock2D"],
            "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 2, "UpBlock2D"],
        },
        2_259_526_660,
    ),
    "SSD-1B": (
        "sdxl",
        BOTH,
        {
            "mid_block_type": "UNetMidBlock2D",
            "transformer_layers_per_block": [1, 2, 4],
            "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], 1],
        },
        1_331_334_404,
    ),
    "Vega": (
        "sdxl",
        BOTH,
        {
            "mid_block_type": "UNetMidBlock2D",
            "transformer_layers_per_block": [1, 1, 2],
            "reverse_transformer_layers_per_block": [[2, 2, 2], [1, 1, 1], 1],
        },
        745_225_604,
    ),
    "KOALA-700M": (
        "sdxl",
        BOTH,
        {
            "mid_block_type": None,
            "layers_per_block": 1,
            "transformer_layers_per_block": [1, 2, 5],
        },
        782_822_724,
    ),
}
TEXTS = {"sd2": {"text_encoder": 340_387_840}}
TEXTS["sdxl"] = {"text_encoder": 123_060_480, "text_encoder_2": 694_659_840}


@pytest.mark.parametrize("name", list(CASES))
def test_the_networks_of_published_models_are_told_from_their_shapes(name: str) -> None:
    family, texts, changes, weights = CASES[name]
    unet = {**_config(family, "unet"), **changes}
    header = _header(family, texts, unet)
    verdict = detect_family(header)
    assert verdict is not None
    assert (verdict.family, verdict.problem) == (family, "")
    assert (verdict.variant == "refiner") == (name == "SDXL refiner")
    plan = LOADERS[family].plan_file(header, Sidecar(), CONFIGS, None)
    counts = {
        part: sum(weight.numel() for weight in build_empty(component).parameters())
        for part, component in plan.components.items()
    }
    assert counts == {
        "unet": weights,
        "vae": 83_653_863,
        **{text: TEXTS[family][text] for text in texts},
    }
    read = plan.components["unet"].config
    heads = unet["attention_head_dim"]
    assert read["attention_head_dim"] == heads
    if family == "sdxl":
        assert read["addition_time_embed_dim"] == 256


def _config(family: str, part: str) -> dict[str, Any]:
    content = json.loads((CONFIGS / family / part / "config.json").read_text())
    hidden = ("_class_name", "architectures", "model_type")
    return {key: value for key, value in content.items() if key not in hidden}


def _header(family: str, texts: tuple[str, ...], unet: dict[str, Any]) -> Header:
    """The header of a 16-bit file with these networks."""
    make_torchvision_importable()
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

    kinds = {"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection}
    attention = tuple(kind.startswith("CrossAttn") for kind in unet["down_block_types"])
    shape = TinyShape(
        unet_channels=tuple(unet["block_out_channels"]),
        unet_attention=attention,
        unet_layers=unet["layers_per_block"],
        vae_channels=(128, 256, 512, 512),
    )
    with torch.device("meta"):
        made = Made(
            TinyFamily("", dict.fromkeys(texts), {}, shape),
            UNet2DConditionModel(**unet),
            AutoencoderKL(**_config(family, "vae")),
            {name: kinds[name](CLIPTextConfig(**_config(family, name))) for name in texts},
        )
        state = original(made)
    entries, position = {}, 0
    for name, weight in state.items():
        end = position + 2 * weight.numel()
        entries[name] = TensorEntry("F16", tuple(weight.shape), position, end)
        position = end
    return Header(Path("published.safetensors"), entries, {}, position)
