"""Layers of the transformer families (Stable Diffusion 3, FLUX.1) under their original names.

The original layouts keep query, key and value as one matrix, FLUX.1's single blocks the first layer
of the MLP with them; and the last modulation has its two halves in the other order. An entry of an
adapter then acts on several layers, or on parts of one.
"""

from __future__ import annotations

import torch

Rows = tuple[int, int] | None
Pieces = tuple[tuple[str, Rows], ...]

_SD3_ENDS = {
    "x_embedder.proj": "pos_embed.proj",
    "context_embedder": "context_embedder",
    "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
    "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
    "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
    "final_layer.linear": "proj_out",
}
_FLUX_ENDS = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "final_layer.linear": "proj_out",
}


def original_transformer_names(network: torch.nn.Module) -> dict[str, Pieces]:
    """Original path to the layers it stands for; empty for networks of another kind."""
    if not hasattr(network, "transformer_blocks"):
        return {}
    is_flux = hasattr(network, "single_transformer_blocks")
    names = dict(_flux(network) if is_flux else _sd3(network))
    layers = {path for path, module in network.named_modules() if hasattr(module, "weight")}
    return {
        original: pieces
        for original, pieces in names.items()
        if all(path in layers for path, _ in pieces)
    }


def _flux(network: torch.nn.Module) -> dict[str, Pieces]:
    names: dict[str, Pieces] = {original: ((path, None),) for original, path in _FLUX_ENDS.items()}
    names["final_layer.adaLN_modulation.1"] = _halves_exchanged(network, "norm_out.linear")
    for number in range(len(network.transformer_blocks)):
        old, new = f"double_blocks.{number}", f"transformer_blocks.{number}"
        names[f"{old}.img_attn.qkv"] = _all(f"{new}.attn", "to_q", "to_k", "to_v")
        names[f"{old}.txt_attn.qkv"] = _all(f"{new}.attn", "add_q_proj", "add_k_proj", "add_v_proj")
        for original, path in {
            "img_attn.proj": "attn.to_out.0",
            "txt_attn.proj": "attn.to_add_out",
            "img_mlp.0": "ff.net.0.proj",
            "img_mlp.2": "ff.net.2",
            "txt_mlp.0": "ff_context.net.0.proj",
            "txt_mlp.2": "ff_context.net.2",
            "img_mod.lin": "norm1.linear",
            "txt_mod.lin": "norm1_context.linear",
        }.items():
            names[f"{old}.{original}"] = ((f"{new}.{path}", None),)
    for number in range(len(network.single_transformer_blocks)):
        old, new = f"single_blocks.{number}", f"single_transformer_blocks.{number}"
        joined = _all(f"{new}.attn", "to_q", "to_k", "to_v")
        names[f"{old}.linear1"] = (*joined, (f"{new}.proj_mlp", None))
        names[f"{old}.linear2"] = ((f"{new}.proj_out", None),)
        names[f"{old}.modulation.lin"] = ((f"{new}.norm.linear", None),)
    return names


def _sd3(network: torch.nn.Module) -> dict[str, Pieces]:
    names: dict[str, Pieces] = {original: ((path, None),) for original, path in _SD3_ENDS.items()}
    names["final_layer.adaLN_modulation.1"] = _halves_exchanged(network, "norm_out.linear")
    last = len(network.transformer_blocks) - 1
    for number in range(last + 1):
        old, new = f"joint_blocks.{number}", f"transformer_blocks.{number}"
        names[f"{old}.x_block.attn.qkv"] = _all(f"{new}.attn", "to_q", "to_k", "to_v")
        names[f"{old}.x_block.attn2.qkv"] = _all(f"{new}.attn2", "to_q", "to_k", "to_v")
        names[f"{old}.context_block.attn.qkv"] = _all(
            f"{new}.attn", "add_q_proj", "add_k_proj", "add_v_proj"
        )
        for original, path in {
            "x_block.attn.proj": "attn.to_out.0",
            "x_block.attn2.proj": "attn2.to_out.0",
            "context_block.attn.proj": "attn.to_add_out",
            "x_block.mlp.fc1": "ff.net.0.proj",
            "x_block.mlp.fc2": "ff.net.2",
            "context_block.mlp.fc1": "ff_context.net.0.proj",
            "context_block.mlp.fc2": "ff_context.net.2",
            "x_block.adaLN_modulation.1": "norm1.linear",
            "context_block.adaLN_modulation.1": "norm1_context.linear",
        }.items():
            names[f"{old}.{original}"] = ((f"{new}.{path}", None),)
    # The last block's text half is only normalised: scale and shift, in the other order.
    exchanged = f"transformer_blocks.{last}.norm1_context.linear"
    if last >= 0 and _rows(network, exchanged) == _rows(network, "norm_out.linear"):
        names[f"joint_blocks.{last}.context_block.adaLN_modulation.1"] = _halves_exchanged(
            network, exchanged
        )
    return names


def _all(prefix: str, *names: str) -> Pieces:
    return tuple((f"{prefix}.{name}", None) for name in names)


def _halves_exchanged(network: torch.nn.Module, path: str) -> Pieces:
    half = _rows(network, path) // 2
    return ((path, (half, 2 * half)), (path, (0, half)))


def _rows(network: torch.nn.Module, path: str) -> int:
    try:
        return len(network.get_submodule(path).weight)
    except AttributeError:
        return 0
