"""T5's encoder: names with and without a wrapper around it, llama.cpp's names, what shapes tell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from modules.engine.checkpoints.layouts.names import Names
from modules.engine.checkpoints.layouts.original_unet import LayoutError

_WORDS = ("shared.weight", "encoder.embed_tokens.weight", "embed_tokens.weight")
_IGNORED = ("decoder.", "lm_head.", "logit_scale", "spiece_model")
_GGUF_BLOCK = re.compile(r"enc\.blk\.(\d+)\.(\w+)\.weight")
_GGUF_TOP: Mapping[str, str] = {
    "token_embd.weight": "embed_tokens.weight",
    "enc.output_norm.weight": "final_layer_norm.weight",
}
_GGUF: Mapping[str, str] = {
    "attn_q": "layer.0.SelfAttention.q",
    "attn_k": "layer.0.SelfAttention.k",
    "attn_v": "layer.0.SelfAttention.v",
    "attn_o": "layer.0.SelfAttention.o",
    "attn_rel_b": "layer.0.SelfAttention.relative_attention_bias",
    "attn_norm": "layer.0.layer_norm",
    "ffn_gate": "layer.1.DenseReluDense.wi_0",
    "ffn_up": "layer.1.DenseReluDense.wi_1",
    "ffn_down": "layer.1.DenseReluDense.wo",
    "ffn_norm": "layer.1.layer_norm",
}


def is_t5(names: Mapping[str, Any]) -> bool:
    """Whether tensors of these names are a T5 encoder in one of the known layouts."""
    return "encoder.block.0.layer.0.SelfAttention.q.weight" in names or (
        "enc.blk.0.attn_q.weight" in names and "token_embd.weight" in names
    )


def encoder_names(names: Names) -> Names:
    """The encoder's tensors under the names that its own class has."""
    table: dict[str, str] = {}
    for name in names:
        if name.startswith(_IGNORED):
            continue
        if name in _WORDS:
            # The same matrix, in some files twice.
            if "embed_tokens.weight" not in table.values():
                table[name] = "embed_tokens.weight"
            continue
        block = _GGUF_BLOCK.fullmatch(name)
        if name in _GGUF_TOP:
            table[name] = _GGUF_TOP[name]
        elif block is not None and block[2] in _GGUF:
            table[name] = f"block.{block[1]}.{_GGUF[block[2]]}.weight"
        else:
            table[name] = name.removeprefix("encoder.")
    return names.renamed(table)


def read_t5(names: Names, defaults: Mapping[str, Any]) -> tuple[dict[str, Any], Names]:
    """Configuration and weights of a T5 encoder; `defaults` hold what shapes cannot tell.

    Raises:
        LayoutError: parts are missing.
    """
    weights = encoder_names(names)
    try:
        vocabulary, width = weights.shape("embed_tokens.weight")
        inner = weights.shape("block.0.layer.0.SelfAttention.q.weight")[0]
        buckets, heads = weights.shape(
            "block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        )
        gated = "block.0.layer.1.DenseReluDense.wi_0.weight" in weights
        feed = weights.shape(f"block.0.layer.1.DenseReluDense.{'wi_0' if gated else 'wi'}.weight")[
            0
        ]
    except (KeyError, IndexError, ValueError) as error:
        raise LayoutError(f"tensor {error} is missing") from error
    config = {
        **defaults,
        "vocab_size": vocabulary,
        "d_model": width,
        "d_kv": max(1, inner // max(1, heads)),
        "d_ff": feed,
        "num_heads": heads,
        "num_layers": weights.count("block.{}.layer.0.SelfAttention.q.weight"),
        "relative_attention_num_buckets": buckets,
        "feed_forward_proj": "gated-gelu" if gated else "relu",
    }
    return config, weights
