"""Make the empty networks of the transformer families: SD3's, FLUX's, and T5's encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from modules.engine.checkpoints.arguments import MAX_LAYERS, known_arguments, only_known
from modules.engine.compat.torchvision_ops import make_torchvision_importable

_T5_KEYS = frozenset(
    {
        "vocab_size",
        "d_model",
        "d_kv",
        "d_ff",
        "num_layers",
        "num_heads",
        "relative_attention_num_buckets",
        "relative_attention_max_distance",
        "layer_norm_epsilon",
        "feed_forward_proj",
    }
)
_MIDAS_KEYS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "image_size",
    "neck_hidden_sizes",
    "fusion_hidden_size",
)
MIDAS_PATCH = 16
"""Pixels of a picture's side that one of its pieces stands for, after the ResNet."""
_FEED_FORWARD = frozenset({"gated-gelu", "relu"})
_QUERY_NORMS = frozenset({"rms_norm"})


def build_sd3_transformer(config: Mapping[str, Any]) -> torch.nn.Module:
    """diffusers' `SD3Transformer2DModel`."""
    make_torchvision_importable()
    from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel

    arguments = known_arguments(SD3Transformer2DModel, config)
    only_known(arguments, _QUERY_NORMS, "qk_norm")
    if "dual_attention_layers" in arguments:
        arguments["dual_attention_layers"] = tuple(arguments["dual_attention_layers"])
    return SD3Transformer2DModel(**arguments)


def build_flux_transformer(config: Mapping[str, Any]) -> torch.nn.Module:
    """diffusers' `FluxTransformer2DModel`."""
    make_torchvision_importable()
    from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

    arguments = known_arguments(FluxTransformer2DModel, config)
    if "axes_dims_rope" in arguments:
        arguments["axes_dims_rope"] = tuple(arguments["axes_dims_rope"])
        if sum(arguments["axes_dims_rope"]) != arguments.get("attention_head_dim", 128):
            raise ValueError("axes_dims_rope does not add up to attention_head_dim")
    return FluxTransformer2DModel(**arguments)


def build_t5_encoder(config: Mapping[str, Any]) -> torch.nn.Module:
    """transformers' `T5Stack` as an encoder, which is all of T5 that pictures need."""
    make_torchvision_importable()
    from transformers.models.t5.configuration_t5 import T5Config
    from transformers.models.t5.modeling_t5 import T5Stack

    arguments = known_arguments(T5Config, {k: v for k, v in config.items() if k in _T5_KEYS})
    only_known(arguments, _FEED_FORWARD, "feed_forward_proj")
    made = T5Config(**arguments)
    made.use_cache = made.is_encoder_decoder = made.is_decoder = False
    stack = T5Stack(made)
    for block in stack.block:
        feed = block.layer[-1].DenseReluDense
        feed.forward = _FeedForward(feed)
    return stack


def build_midas(config: Mapping[str, Any]) -> torch.nn.Module:
    """transformers' `DPTForDepthEstimation` in the form of MiDaS' DPT-Hybrid, see `read_midas`."""
    make_torchvision_importable()
    from transformers.models.dpt.configuration_dpt import DPTConfig
    from transformers.models.dpt.modeling_dpt import DPTForDepthEstimation

    known_arguments(DPTConfig, config)
    layers, side = int(config["num_hidden_layers"]), int(config["image_size"])
    widths = [int(width) for width in config["stage_widths"]]
    depths = [int(depth) for depth in config["stage_depths"]]
    if not 4 <= layers <= MAX_LAYERS or max(depths) > MAX_LAYERS or min(depths) < 1:
        raise ValueError(f"{layers} layers behind {depths} are not possible")
    resnet = {
        "model_type": "bit",
        "embedding_size": int(config["stem_width"]),
        "hidden_sizes": widths,
        "depths": depths,
        "layer_type": "bottleneck",
        "global_padding": "same",
        "embedding_dynamic_padding": True,
        "out_features": [f"stage{place + 1}" for place in range(len(depths))],
    }
    grid = side // MIDAS_PATCH
    made = DPTConfig(
        is_hybrid=True,
        backbone_config=resnet,
        backbone_featmap_shape=[1, widths[-1], grid, grid],
        # The map is made of two of the ResNet's stages and of these layers' states.
        backbone_out_indices=[0, 1, layers * 3 // 4 - 1, layers - 1],
        neck_ignore_stages=[0, 1],
        reassemble_factors=[1, 1, 1, 0.5],
        readout_type="project",
        layer_norm_eps=1e-6,
        patch_size=MIDAS_PATCH,
        **{name: config[name] for name in _MIDAS_KEYS},
    )
    return DPTForDepthEstimation(made)


class _FeedForward:
    """T5's feed-forward part in the number format of its input.

    transformers' own brings the input into the format that the last matrix rests in, which is no
    format to compute in when weights are kept in eight bits.
    """

    def __init__(self, part: torch.nn.Module) -> None:
        self._part = part
        self._entrances = [part.wi_0, part.wi_1] if hasattr(part, "wi_0") else [part.wi]

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """States [batch, tokens, width], as before."""
        inner = self._part.act(self._entrances[0](states))
        for gate in self._entrances[1:]:
            inner = inner * gate(states)
        return self._part.wo(inner)


TRANSFORMER_BUILDERS: Mapping[str, Callable[[Mapping[str, Any]], torch.nn.Module]] = {
    "sd3_transformer": build_sd3_transformer,
    "flux_transformer": build_flux_transformer,
    "t5_encoder": build_t5_encoder,
    "midas": build_midas,
}
