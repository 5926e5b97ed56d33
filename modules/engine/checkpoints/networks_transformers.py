"""Make the empty networks of the transformer families: SD3's, FLUX's, and T5's encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from modules.engine.checkpoints.arguments import known_arguments, only_known
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
}
