"""Make the empty networks that checkpoints fill: diffusers' and transformers' classes.

Only the needed classes are imported, where they are used: the package roots pull in far more.
Configurations come from files, so every value is checked before a constructor sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from modules.engine.checkpoints.arguments import MAX_LAYERS, known_arguments, only_known
from modules.engine.checkpoints.networks_transformers import TRANSFORMER_BUILDERS
from modules.engine.compat.torchvision_ops import make_torchvision_importable

MAX_LEVELS = 16
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
_VISION_KEYS = frozenset(
    {
        "hidden_size",
        "intermediate_size",
        "projection_dim",
        "num_hidden_layers",
        "num_attention_heads",
        "num_channels",
        "image_size",
        "patch_size",
        "hidden_act",
        "layer_norm_eps",
    }
)
_VAE_BLOCKS = frozenset({"DownEncoderBlock2D", "UpDecoderBlock2D"})


def build_unet(config: Mapping[str, Any]) -> torch.nn.Module:
    """diffusers' `UNet2DConditionModel`."""
    make_torchvision_importable()
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    arguments = known_arguments(UNet2DConditionModel, config)
    only_known(arguments, _UNET_BLOCKS, "down_block_types", "mid_block_type", "up_block_types")
    return UNet2DConditionModel(**arguments)


def build_vae(config: Mapping[str, Any]) -> torch.nn.Module:
    """diffusers' `AutoencoderKL`."""
    make_torchvision_importable()
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    arguments = known_arguments(AutoencoderKL, config)
    only_known(arguments, _VAE_BLOCKS, "down_block_types", "up_block_types")
    return AutoencoderKL(**arguments)


def build_clip_text(config: Mapping[str, Any]) -> torch.nn.Module:
    """transformers' `CLIPTextModel`, with its attention through torch's SDPA."""
    make_torchvision_importable()
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel

    arguments = known_arguments(
        CLIPTextConfig, {k: v for k, v in config.items() if k in _TEXT_KEYS}
    )
    return CLIPTextModel(CLIPTextConfig(**arguments))


def build_clip_text_projection(config: Mapping[str, Any]) -> torch.nn.Module:
    """transformers' `CLIPTextModelWithProjection`, whose summary is projected."""
    make_torchvision_importable()
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModelWithProjection

    arguments = known_arguments(
        CLIPTextConfig, {k: v for k, v in config.items() if k in _TEXT_KEYS}
    )
    return CLIPTextModelWithProjection(CLIPTextConfig(**arguments))


def build_clip_vision_projection(config: Mapping[str, Any]) -> torch.nn.Module:
    """transformers' `CLIPVisionModelWithProjection`."""
    make_torchvision_importable()
    from transformers.models.clip.configuration_clip import CLIPVisionConfig
    from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection

    told = {key: value for key, value in config.items() if key in _VISION_KEYS}
    arguments = known_arguments(CLIPVisionConfig, told)
    return CLIPVisionModelWithProjection(CLIPVisionConfig(**arguments))


def build_image_normaliser(config: Mapping[str, Any]) -> torch.nn.Module:
    """The statistics that unCLIP models bring for the embeddings of pictures."""
    from modules.engine.checkpoints.families.unclip import ImageNormaliser

    return ImageNormaliser(**known_arguments(ImageNormaliser, config))


def build_taesd_decoder(config: Mapping[str, Any]) -> torch.nn.Module:
    """The decoder of diffusers' `AutoencoderTiny`."""
    make_torchvision_importable()
    from diffusers.models.autoencoders.vae import DecoderTiny

    levels = _taesd_levels(config)
    return DecoderTiny(
        in_channels=int(config["latent_channels"]),
        out_channels=3,
        num_blocks=levels,
        block_out_channels=(int(config["width"]),) * len(levels),
        upsampling_scaling_factor=2,
        act_fn="relu",
        upsample_fn="nearest",
    )


def build_taesd_encoder(config: Mapping[str, Any]) -> torch.nn.Module:
    """The encoder of diffusers' `AutoencoderTiny`."""
    make_torchvision_importable()
    from diffusers.models.autoencoders.vae import EncoderTiny

    levels = _taesd_levels(config)
    return EncoderTiny(
        in_channels=3,
        out_channels=int(config["latent_channels"]),
        num_blocks=levels,
        block_out_channels=(int(config["width"]),) * len(levels),
        act_fn="relu",
    )


def _taesd_levels(config: Mapping[str, Any]) -> tuple[int, ...]:
    levels = tuple(int(count) for count in config["num_blocks"])
    if not 0 < len(levels) <= MAX_LEVELS or max(levels) > MAX_LAYERS:
        raise ValueError(f"{levels} levels are not possible")
    return levels


BUILDERS: Mapping[str, Callable[[Mapping[str, Any]], torch.nn.Module]] = {
    "unet": build_unet,
    "vae": build_vae,
    "clip_text": build_clip_text,
    "clip_text_projection": build_clip_text_projection,
    "clip_vision_projection": build_clip_vision_projection,
    "image_normaliser": build_image_normaliser,
    "taesd_decoder": build_taesd_decoder,
    "taesd_encoder": build_taesd_encoder,
    **TRANSFORMER_BUILDERS,
}
