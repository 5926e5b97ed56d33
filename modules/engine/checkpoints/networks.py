"""Make the empty networks that checkpoints fill: diffusers' and transformers' classes.

Only the needed classes are imported, where they are used: the package roots pull in far more.
Configurations come from files, so every value is checked before a constructor sees it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

from modules.engine.compat.torchvision_ops import make_torchvision_importable

MAX_NUMBER = 1_000_000
MAX_LIST = 16
MAX_LAYERS = 128
_LAYER_COUNTS = ("layers_per_block", "transformer_layers_per_block", "num_hidden_layers")
_UNET_BLOCKS = frozenset(
    {
        "CrossAttnDownBlock2D",
        "DownBlock2D",
        "UNetMidBlock2DCrossAttn",
        "UNetMidBlock2D",
        "CrossAttnUpBlock2D",
        "UpBlock2D",
    }
)
_TEXT_KEYS = frozenset(
    {
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "max_position_embeddings",
        "hidden_act",
        "layer_norm_eps",
        "bos_token_id",
        "eos_token_id",
        "pad_token_id",
        "projection_dim",
    }
)
_VAE_BLOCKS = frozenset({"DownEncoderBlock2D", "UpDecoderBlock2D"})


def build_unet(config: Mapping[str, Any]) -> torch.nn.Module:
    """diffusers' `UNet2DConditionModel`."""
    make_torchvision_importable()
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    arguments = _arguments(UNet2DConditionModel, config)
    _only_known(arguments, _UNET_BLOCKS, "down_block_types", "mid_block_type", "up_block_types")
    return UNet2DConditionModel(**arguments)


def build_vae(config: Mapping[str, Any]) -> torch.nn.Module:
    """diffusers' `AutoencoderKL`."""
    make_torchvision_importable()
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    arguments = _arguments(AutoencoderKL, config)
    _only_known(arguments, _VAE_BLOCKS, "down_block_types", "up_block_types")
    return AutoencoderKL(**arguments)


def build_clip_text(config: Mapping[str, Any]) -> torch.nn.Module:
    """transformers' `CLIPTextModel`, with its attention through torch's SDPA."""
    make_torchvision_importable()
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel

    arguments = _arguments(CLIPTextConfig, {k: v for k, v in config.items() if k in _TEXT_KEYS})
    return CLIPTextModel(CLIPTextConfig(**arguments))


def build_clip_text_projection(config: Mapping[str, Any]) -> torch.nn.Module:
    """transformers' `CLIPTextModelWithProjection`, whose summary is projected."""
    make_torchvision_importable()
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModelWithProjection

    arguments = _arguments(CLIPTextConfig, {k: v for k, v in config.items() if k in _TEXT_KEYS})
    return CLIPTextModelWithProjection(CLIPTextConfig(**arguments))


def build_taesd_decoder(config: Mapping[str, Any]) -> torch.nn.Module:
    """The decoder of diffusers' `AutoencoderTiny`."""
    make_torchvision_importable()
    from diffusers.models.autoencoders.vae import DecoderTiny

    levels = [int(count) for count in config["num_blocks"]]
    if not 0 < len(levels) <= MAX_LIST or max(levels) > MAX_LAYERS:
        raise ValueError(f"{levels} levels are not possible")
    return DecoderTiny(
        in_channels=int(config["in_channels"]),
        out_channels=3,
        num_blocks=tuple(levels),
        block_out_channels=(int(config["width"]),) * len(levels),
        upsampling_scaling_factor=2,
        act_fn="relu",
        upsample_fn="nearest",
    )


BUILDERS: Mapping[str, Callable[[Mapping[str, Any]], torch.nn.Module]] = {
    "unet": build_unet,
    "vae": build_vae,
    "clip_text": build_clip_text,
    "clip_text_projection": build_clip_text_projection,
    "taesd_decoder": build_taesd_decoder,
}


def _arguments(made: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a config that the constructor knows, checked to be of a sane size."""
    known = inspect.signature(made.__init__).parameters
    arguments = {}
    for name, value in config.items():
        if name in known and name not in ("self", "kwargs") and not name.startswith("_"):
            _check_value(name, value, MAX_LAYERS if name in _LAYER_COUNTS else MAX_NUMBER)
            arguments[name] = value
    return arguments


def _check_value(name: str, value: Any, limit: int) -> None:
    if isinstance(value, (list, tuple)):
        if len(value) > MAX_LIST:
            raise ValueError(f"{name} has {len(value)} entries")
        for item in value:
            _check_value(name, item, limit)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, (int, float)):
        if not abs(value) <= limit:
            raise ValueError(f"{name} is {value}")
    elif isinstance(value, str):
        if len(value) > 64:
            raise ValueError(f"{name} is too long")
    else:
        raise ValueError(f"{name} is not a plain value")


def _only_known(arguments: Mapping[str, Any], blocks: frozenset[str], *names: str) -> None:
    for name in names:
        value = arguments.get(name)
        for block in (value,) if isinstance(value, str) else value or ():
            if block not in blocks:
                raise ValueError(f"{name} {block!r} is not known here")
