"""A LoRA on SD3 and FLUX.1 gives the picture of a checkpoint that it was merged into."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.engine.families_dit.conftest import Build, made
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_dit import TinyDit, flux, sd3

STRENGTH = 0.7
Target = list[tuple[str, int]]
"""Layers of the transformer and how many of an entry's outputs are theirs."""


def _joined(start: str, width: int, *names: str) -> Target:
    return [(f"{start}.{name}", width) for name in names]


SD3: dict[str, Target] = {
    "lora_unet_joint_blocks_0_x_block_attn_qkv": _joined(
        "transformer_blocks.0.attn", 64, "to_q", "to_k", "to_v"
    ),
    "lora_unet_joint_blocks_0_context_block_mlp_fc1": [
        ("transformer_blocks.0.ff_context.net.0.proj", 256)
    ],
    "lora_unet_joint_blocks_1_x_block_attn_proj": [("transformer_blocks.1.attn.to_out.0", 64)],
}
FLUX: dict[str, Target] = {
    "lora_unet_double_blocks_0_txt_attn_qkv": _joined(
        "transformer_blocks.0.attn", 64, "add_q_proj", "add_k_proj", "add_v_proj"
    ),
    "lora_unet_single_blocks_1_linear1": [
        *_joined("single_transformer_blocks.1.attn", 64, "to_q", "to_k", "to_v"),
        ("single_transformer_blocks.1.proj_mlp", 256),
    ],
    "lora_unet_single_blocks_0_linear2": [("single_transformer_blocks.0.proj_out", 64)],
}
PEFT = "transformer.{}.lora_{}.weight"


def _makers(targets: dict[str, Target], weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Entries in the makers' names, and what they add to each weight."""
    generator = torch.Generator().manual_seed(5)
    tensors, added = {}, {}
    for name, layers in targets.items():
        rows = sum(count for _, count in layers)
        columns = weights[f"{layers[0][0]}.weight"].shape[1]
        up = torch.randn(rows, 4, generator=generator)
        down = torch.randn(4, columns, generator=generator)
        tensors |= {f"{name}.lora_up.weight": up, f"{name}.lora_down.weight": down}
        tensors[f"{name}.alpha"] = torch.tensor(2.0)
        shares = (up @ down * 0.5).split([count for _, count in layers])
        added |= {layer: share for (layer, _), share in zip(layers, shares, strict=True)}
    return {"tensors": tensors, "added": added}


def _diffusers(targets: dict[str, Target], weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    """The same layers in PEFT's names, each with matrices of its own."""
    generator = torch.Generator().manual_seed(6)
    tensors, added = {}, {}
    for layer, _ in (one for layers in targets.values() for one in layers):
        rows, columns = weights[f"{layer}.weight"].shape
        up = torch.randn(rows, 3, generator=generator)
        down = torch.randn(3, columns, generator=generator)
        tensors |= {PEFT.format(layer, "B"): up, PEFT.format(layer, "A"): down}
        added[layer] = up @ down
    return {"tensors": tensors, "added": added}


@pytest.mark.parametrize(
    "naming",
    [
        pytest.param(_makers, id="makers"),
        pytest.param(_diffusers, id="diffusers", marks=pytest.mark.full),
    ],
)
@pytest.mark.parametrize(
    ("kind", "targets", "cfg"),
    [(sd3("3.5 medium"), SD3, 4.0), (flux(), FLUX, 1.0)],
    ids=["sd3", "flux"],
)
def test_a_lora_gives_the_picture_of_a_checkpoint_it_was_merged_into(
    studio: Studio,
    build: Build,
    tmp_path: Path,
    kind: TinyDit,
    targets: dict[str, Target],
    cfg: float,
    naming: Any,
) -> None:
    folder = build(kind).folder
    merged = tmp_path / "merged"
    shutil.copytree(folder, merged, copy_function=lambda source, to: Path(to).symlink_to(source))
    file = merged / "transformer" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    made_of = naming(targets, weights)
    for layer, change in made_of["added"].items():
        weights[f"{layer}.weight"] += STRENGTH * change
    file.unlink()
    save_file(weights, str(file))
    lora = tmp_path / "look.safetensors"
    save_file({name: one.contiguous() for name, one in made_of["tensors"].items()}, str(lora))
    plain = made(studio, folder, cfg_scale=cfg)
    ours = made(
        studio,
        folder,
        cfg_scale=cfg,
        prompt=f"a red apple, on a table<lora:look:{STRENGTH}>",
        resources={"loras": {"look": {"path": str(lora)}}},
    )
    assert difference(ours, made(studio, merged, cfg_scale=cfg)) <= 1
    assert difference(ours, plain) > 10
    assert difference(made(studio, folder, cfg_scale=cfg), plain) == 0
