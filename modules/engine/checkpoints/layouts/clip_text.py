"""CLIP's text model: names with and without the `text_model.` prefix, and what shapes tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules.engine.checkpoints.layouts.names import Names
from modules.engine.checkpoints.layouts.original_unet import LayoutError

HEAD_WIDTH = 64
"""All published CLIP text models use heads of this width."""
_PREFIX = "text_model."
_CONSTANT = "embeddings.position_ids"
PROJECTION = "text_projection.weight"
_UNUSED = ("text_projection.", "logit_scale")


def modern_names(names: Names, *, projection: bool = False) -> Names:
    """The text model's tensors as transformers 5 names them.

    They have no prefix; with `projection` (`CLIPTextModelWithProjection`) they have, and the
    projection of the text's summary is kept.
    """
    table = {}
    for name in names:
        modern = name.removeprefix(_PREFIX)
        if projection and modern == PROJECTION:
            table[name] = modern
        elif modern != _CONSTANT and not modern.startswith(_UNUSED):
            table[name] = f"{_PREFIX if projection else ''}{modern}"
    return names.renamed(table)


def read_clip_text(
    names: Names, defaults: Mapping[str, Any], *, projection: bool = False
) -> tuple[dict[str, Any], Names]:
    """Configuration and weights of a CLIP text model; `defaults` hold what shapes cannot tell.

    `projection`: for `CLIPTextModelWithProjection`.

    Raises:
        LayoutError: parts are missing.
    """
    weights = modern_names(names)
    try:
        projected = names.shape(PROJECTION)[0] if projection else None
        vocabulary, width = weights.shape("embeddings.token_embedding.weight")
        positions = weights.shape("embeddings.position_embedding.weight")[0]
        inner = weights.shape("encoder.layers.0.mlp.fc1.weight")[0]
    except (KeyError, IndexError, ValueError) as error:
        raise LayoutError(f"tensor {error} is missing") from error
    config = {
        **defaults,
        "vocab_size": vocabulary,
        "hidden_size": width,
        "max_position_embeddings": positions,
        "intermediate_size": inner,
        "num_hidden_layers": weights.count("encoder.layers.{}.mlp.fc1.weight"),
        "num_attention_heads": max(1, width // HEAD_WIDTH),
    }
    if projected is None:
        return config, weights
    return {**config, "projection_dim": projected}, modern_names(names, projection=True)
