"""OpenCLIP's text model as SD 2.x and SDXL files hold it, under transformers' names.

Its attention has query, key and value in one matrix, and it multiplies by the projection from the
other side, so that the file holds that matrix transposed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules.engine.checkpoints.components import Source
from modules.engine.checkpoints.layouts.clip_text import HEAD_WIDTH
from modules.engine.checkpoints.layouts.names import Names
from modules.engine.checkpoints.layouts.original_unet import LayoutError

BLOCK = "transformer.resblocks.{}."
_ENDS = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
_PARTS = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_FUSED = ("q_proj", "k_proj", "v_proj")


def read_open_clip(
    names: Names, defaults: Mapping[str, Any], *, unused_layers: int = 0, projection: bool = False
) -> tuple[dict[str, Any], Names]:
    """Configuration and weights of an OpenCLIP text model; `defaults` hold what shapes cannot tell.

    Args:
        unused_layers: so many of the last layers are left out, for families that never use them.
        projection: read the projection of the text's summary, for `CLIPTextModelWithProjection`.

    Raises:
        LayoutError: parts are missing.
    """
    try:
        return _read(names, defaults, unused_layers, projection)
    except (KeyError, IndexError) as error:
        raise LayoutError(f"tensor {error} is missing") from error


def _read(
    names: Names, defaults: Mapping[str, Any], unused_layers: int, projection: bool
) -> tuple[dict[str, Any], Names]:
    prefix = "text_model." if projection else ""
    layers = names.count(BLOCK + "ln_1.weight") - unused_layers
    if layers < 1:
        raise LayoutError("the text encoder has too few layers")
    weights = {prefix + new: names[old] for old, new in _ENDS.items()}
    for layer in range(layers):
        old, new = BLOCK.format(layer), f"{prefix}encoder.layers.{layer}."
        weights.update(block(names, old, new))
    vocabulary, width = names.shape("token_embedding.weight")
    config = {
        **defaults,
        "vocab_size": vocabulary,
        "hidden_size": width,
        "max_position_embeddings": names.shape("positional_embedding")[0],
        "intermediate_size": names.shape(BLOCK.format(0) + "mlp.c_fc.weight")[0],
        "num_hidden_layers": layers,
        "num_attention_heads": max(1, width // HEAD_WIDTH),
    }
    if projection:
        source = _projection(names)
        weights["text_projection.weight"] = source
        config["projection_dim"] = source.shape[0]
    return config, Names(weights)


def block(names: Names, old: str, new: str) -> dict[str, Source]:
    """The weights of one layer, with the fused attention told apart."""
    found = {}
    for theirs, ours in _PARTS.items():
        for kind in ("weight", "bias"):
            found[f"{new}{ours}.{kind}"] = names[f"{old}{theirs}.{kind}"]
    for kind in ("weight", "bias"):
        fused = names[f"{old}attn.in_proj_{kind}"]
        for place, ours in enumerate(_FUSED):
            found[f"{new}self_attn.{ours}.{kind}"] = fused.part(place, len(_FUSED))
    return found


def _projection(names: Names) -> Source:
    """The projection as a linear layer has it, from either way of writing it."""
    if "text_projection" in names:
        source = names["text_projection"]
        return Source(source.header, source.tensor, transposed=True)
    return names["text_projection.weight"]
