"""OpenCLIP's (and OpenAI's) vision model as unCLIP files hold it, under transformers' names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from modules.engine.checkpoints.components import Source
from modules.engine.checkpoints.layouts.names import Names
from modules.engine.checkpoints.layouts.open_clip import BLOCK, block
from modules.engine.checkpoints.layouts.original_unet import LayoutError

_HEADS = {1280: 80, 1408: 88, 1664: 104}
"""Width of the vision model to the width of its heads, where that is not 64."""
_ENDS = {
    "class_embedding": "embeddings.class_embedding",
    "positional_embedding": "embeddings.position_embedding.weight",
    "conv1.weight": "embeddings.patch_embedding.weight",
    "ln_pre.weight": "pre_layrnorm.weight",
    "ln_pre.bias": "pre_layrnorm.bias",
    "ln_post.weight": "post_layernorm.weight",
    "ln_post.bias": "post_layernorm.bias",
}
_OPENAI_PROJECTION = 768
"""OpenAI's ViT-L/14 uses a quicker approximation of GELU; it is told by this width."""


def read_open_clip_vision(names: Names) -> tuple[dict[str, Any], Names]:
    """Configuration and weights of `CLIPVisionModelWithProjection` from a `visual.` model.

    Raises:
        LayoutError: parts are missing.
    """
    try:
        return _config(names), Names(dict(_weights(names)))
    except (KeyError, IndexError) as error:
        raise LayoutError(f"tensor {error} is missing") from error


def _config(names: Names) -> dict[str, Any]:
    width, channels, patch = names.shape("conv1.weight")[:3]
    grid = math.isqrt(names.shape("positional_embedding")[0] - 1)
    projection = names.shape("proj")[1]
    return {
        "hidden_size": width,
        "intermediate_size": names.shape(BLOCK.format(0) + "mlp.c_fc.weight")[0],
        "projection_dim": projection,
        "num_hidden_layers": names.count(BLOCK + "ln_1.weight"),
        "num_attention_heads": max(1, width // _HEADS.get(width, 64)),
        "num_channels": channels,
        "image_size": grid * patch,
        "patch_size": patch,
        "hidden_act": "quick_gelu" if projection == _OPENAI_PROJECTION else "gelu",
    }


def _weights(names: Names) -> Mapping[str, Source]:
    weights = {f"vision_model.{new}": names[old] for old, new in _ENDS.items()}
    for layer in range(names.count(BLOCK + "ln_1.weight")):
        weights |= block(names, BLOCK.format(layer), f"vision_model.encoder.layers.{layer}.")
    projection = names["proj"]
    weights["visual_projection.weight"] = Source(
        projection.header, projection.tensor, transposed=True
    )
    return weights
