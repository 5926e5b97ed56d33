"""A tiny random DPT-Hybrid, as transformers has it and under MiDaS' own names."""

from __future__ import annotations

import re
from typing import Any

import torch

from modules.engine.compat.torchvision_ops import make_torchvision_importable

_BLOCK = r"pretrained.model.blocks.\1."
_RESNET = "pretrained.model.patch_embed.backbone."
_BACK = (
    (r"dpt\.embeddings\.backbone\.bit\.embedder\.convolution\.", _RESNET + "stem.conv."),
    (r"dpt\.embeddings\.backbone\.bit\.embedder\.norm\.", _RESNET + "stem.norm."),
    (
        r"dpt\.embeddings\.backbone\.bit\.encoder\.stages\.(\d+)\.layers\.",
        _RESNET + r"stages.\1.blocks.",
    ),
    (r"dpt\.embeddings\.projection\.", "pretrained.model.patch_embed.proj."),
    (r"dpt\.embeddings\.cls_token", "pretrained.model.cls_token"),
    (r"dpt\.embeddings\.position_embeddings", "pretrained.model.pos_embed"),
    (r"dpt\.encoder\.layer\.(\d+)\.attention\.output\.dense\.", _BLOCK + "attn.proj."),
    (r"dpt\.encoder\.layer\.(\d+)\.intermediate\.dense\.", _BLOCK + "mlp.fc1."),
    (r"dpt\.encoder\.layer\.(\d+)\.output\.dense\.", _BLOCK + "mlp.fc2."),
    (r"dpt\.encoder\.layer\.(\d+)\.layernorm_before\.", _BLOCK + "norm1."),
    (r"dpt\.encoder\.layer\.(\d+)\.layernorm_after\.", _BLOCK + "norm2."),
    (r"dpt\.layernorm\.", "pretrained.model.norm."),
    (r"neck\.convs\.0\.", "scratch.layer1_rn."),
    (r"neck\.convs\.1\.", "scratch.layer2_rn."),
    (r"neck\.convs\.2\.", "scratch.layer3_rn."),
    (r"neck\.convs\.3\.", "scratch.layer4_rn."),
    (
        r"neck\.reassemble_stage\.readout_projects\.2\.0\.",
        "pretrained.act_postprocess3.0.project.0.",
    ),
    (
        r"neck\.reassemble_stage\.readout_projects\.3\.0\.",
        "pretrained.act_postprocess4.0.project.0.",
    ),
    (r"neck\.reassemble_stage\.layers\.2\.projection\.", "pretrained.act_postprocess3.3."),
    (r"neck\.reassemble_stage\.layers\.3\.projection\.", "pretrained.act_postprocess4.3."),
    (r"neck\.reassemble_stage\.layers\.3\.resize\.", "pretrained.act_postprocess4.4."),
    (r"neck\.fusion_stage\.layers\.0\.", "scratch.refinenet4."),
    (r"neck\.fusion_stage\.layers\.1\.", "scratch.refinenet3."),
    (r"neck\.fusion_stage\.layers\.2\.", "scratch.refinenet2."),
    (r"neck\.fusion_stage\.layers\.3\.", "scratch.refinenet1."),
    (r"head\.head\.", "scratch.output_conv."),
)
_INNER = (
    (r"\.projection\.", ".out_conv."),
    (r"\.residual_layer(\d)\.convolution(\d)\.", r".resConfUnit\1.conv\2."),
)


def tiny_midas() -> Any:
    """The network; it sees depth that differs from place to place."""
    make_torchvision_importable()
    from transformers.models.dpt.configuration_dpt import DPTConfig
    from transformers.models.dpt.modeling_dpt import DPTForDepthEstimation

    torch.manual_seed(3)
    resnet = {
        "model_type": "bit",
        "embedding_size": 32,
        "hidden_sizes": [128, 128, 128],
        "depths": [1, 2, 1],
        "layer_type": "bottleneck",
        "global_padding": "same",
        "embedding_dynamic_padding": True,
        "out_features": ["stage1", "stage2", "stage3"],
    }
    network = DPTForDepthEstimation(
        DPTConfig(
            is_hybrid=True,
            backbone_config=resnet,
            backbone_featmap_shape=[1, 128, 4, 4],
            backbone_out_indices=[0, 1, 2, 3],
            neck_ignore_stages=[0, 1],
            neck_hidden_sizes=[128, 128, 64, 64],
            reassemble_factors=[1, 1, 1, 0.5],
            readout_type="project",
            hidden_size=64,
            num_hidden_layers=4,
            num_attention_heads=1,
            intermediate_size=96,
            image_size=64,
            patch_size=16,
            fusion_hidden_size=32,
            layer_norm_eps=1e-6,
        )
    ).eval()
    with torch.no_grad():
        for weight in network.head.parameters():
            weight.normal_(0.3)  # as initialised, it sees next to no depth
    return network


def midas_state(network: Any) -> dict[str, torch.Tensor]:
    """Its weights under MiDaS' names, with the classifier that MiDaS left in."""
    state = network.state_dict()
    found = {"pretrained.model.head.weight": torch.zeros(3, 64)}
    fused = re.compile(r"dpt\.encoder\.layer\.(\d+)\.attention\.attention\.query\.(\w+)")
    for name, value in state.items():
        match = fused.fullmatch(name)
        if match:
            parts = [state[name.replace("query", part)] for part in ("query", "key", "value")]
            new = f"pretrained.model.blocks.{match[1]}.attn.qkv.{match[2]}"
            found[new] = torch.cat(parts)
        elif ".attention.attention." not in name:
            found[_theirs(name)] = value.clone()
    return found


def _theirs(name: str) -> str:
    for old, new in _BACK:
        renamed, count = re.subn(f"^{old}", new, name)
        if count and renamed.startswith("scratch.refinenet"):
            for inner, other in _INNER:
                renamed = re.sub(inner, other, renamed)
        if count:
            return renamed
    raise AssertionError(name)
