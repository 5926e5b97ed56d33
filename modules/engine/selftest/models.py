"""Tiny random models of the true architectures, for the self-test: a few megabytes, in seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modules.engine.compat.torchvision_ops import make_torchvision_importable

WIDTH = 64
"""Of the text encoder."""
CHANNELS = (32, 64)
CHECKPOINTS = ("selftest-a", "selftest-b")
LORA, WORDS, HYPERNETWORK, UPSCALER = (
    "selftest-lora",
    "selftest-words",
    "selftest-hyper",
    "selftest-x4",
)
_LAYER = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"


def write_models(folders: Mapping[str, str]) -> dict[str, Any]:
    """Write two checkpoints, a LoRA, an embedding, a hypernetwork and an upscaler.

    Args:
        folders: where to: ``checkpoints``, ``lora``, ``embeddings``, ``hypernetworks``, ``esrgan``.

    Returns:
        The models' names by kind.

    Raises:
        OSError: a file cannot be written.
    """
    make_torchvision_importable()
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.no_grad():
        for seed, name in enumerate(CHECKPOINTS):
            torch.manual_seed(seed)
            _write_checkpoint(Path(folders["checkpoints"]) / name)
        _write_lora(Path(folders["lora"]) / f"{LORA}.safetensors")
        _save(Path(folders["embeddings"]) / f"{WORDS}.safetensors", emb_params=_random(2, WIDTH))
        torch.save(_hypernetwork(), Path(folders["hypernetworks"]) / f"{HYPERNETWORK}.pt")
        _write_upscaler(Path(folders["esrgan"]) / f"{UPSCALER}.pth")
    return {
        "checkpoints": list(CHECKPOINTS),
        "lora": LORA,
        "embedding": WORDS,
        "hypernetwork": HYPERNETWORK,
        "upscaler": UPSCALER,
    }


def _write_checkpoint(folder: Path) -> None:
    """A model of Stable Diffusion 1's architecture as a diffusers folder."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel

    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=CHANNELS,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=8,
    )
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        sample_size=64,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=3,
            num_attention_heads=1,
            projection_dim=WIDTH,
            bos_token_id=49_406,
            eos_token_id=49_407,
        )
    )
    for name, network in {"unet": unet, "vae": vae, "text_encoder": text}.items():
        network.save_pretrained(folder / name, safe_serialization=True)
    _json(
        folder / "scheduler" / "scheduler_config.json",
        {
            "_class_name": "DDIMScheduler",
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "num_train_timesteps": 1000,
            "prediction_type": "epsilon",
            "set_alpha_to_one": False,
            "steps_offset": 1,
        },
    )
    _json(
        folder / "model_index.json",
        {
            "_class_name": "StableDiffusionPipeline",
            "_diffusers_version": "0.30.0",
            "scheduler": ["diffusers", "DDIMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )


def _write_lora(path: Path) -> None:
    _save(
        path,
        **{
            f"{_LAYER}.lora_down.weight": _random(4, WIDTH),
            f"{_LAYER}.lora_up.weight": _random(CHANNELS[0], 4),
            f"{_LAYER}.alpha": torch.tensor(4.0),
        },
    )


def _hypernetwork() -> dict[Any, Any]:
    """In A1111's format, for the text encoder's width."""
    return {
        WIDTH: tuple(
            {
                "linear.0.weight": _random(2 * WIDTH, WIDTH),
                "linear.0.bias": _random(2 * WIDTH),
                "linear.1.weight": _random(WIDTH, 2 * WIDTH),
                "linear.1.bias": _random(WIDTH),
            }
            for _ in range(2)
        ),
        "step": 1,
        "name": HYPERNETWORK,
        "layer_structure": [1, 2, 1],
        "activation_func": "linear",
        "is_layer_norm": False,
        "activate_output": False,
        "use_dropout": False,
    }


def _write_upscaler(path: Path) -> None:
    from basicsr.archs.rrdbnet_arch import RRDBNet

    network = RRDBNet(3, 3, scale=4, num_feat=8, num_block=1, num_grow_ch=4)
    torch.save({"params_ema": network.state_dict()}, path)


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape) * 0.3


def _save(path: Path, **tensors: Tensor) -> None:
    from safetensors.torch import save_file

    save_file({name: value.contiguous() for name, value in tensors.items()}, str(path))


def _json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
