"""MiDaS' DPT-Hybrid, as SD 2's depth checkpoints hold it, under transformers' names.

Ranftl et al., "Vision Transformers for Dense Prediction" (2021, arXiv 2103.13413): a small ResNet
makes the pieces that a vision transformer reads; two of its layers and two of the ResNet's stages
are put together again into a map.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from modules.engine.checkpoints.components import Source
from modules.engine.checkpoints.layouts.names import Names
from modules.engine.checkpoints.layouts.original_unet import LayoutError
from modules.engine.checkpoints.networks_transformers import MIDAS_PATCH

HEAD_WIDTH = 64
_TRUNK = "pretrained.model."
_RESNET = _TRUNK + "patch_embed.backbone."
_UNUSED = (_TRUNK + "head.", "pretrained.model.patch_embed.backbone.head.")
"""Of the classifiers that the parts were trained as."""
STAGES = 3
_FUSED = ("query", "key", "value")

_RULES = (
    (r"pretrained\.model\.cls_token", "dpt.embeddings.cls_token"),
    (r"pretrained\.model\.pos_embed", "dpt.embeddings.position_embeddings"),
    (r"pretrained\.model\.patch_embed\.proj\.", "dpt.embeddings.projection."),
    (
        r"pretrained\.model\.patch_embed\.backbone\.stem\.conv\.",
        "dpt.embeddings.backbone.bit.embedder.convolution.",
    ),
    (
        r"pretrained\.model\.patch_embed\.backbone\.stem\.norm\.",
        "dpt.embeddings.backbone.bit.embedder.norm.",
    ),
    (
        r"pretrained\.model\.patch_embed\.backbone\.stages\.(\d+)\.blocks\.",
        r"dpt.embeddings.backbone.bit.encoder.stages.\1.layers.",
    ),
    (
        r"pretrained\.model\.blocks\.(\d+)\.attn\.proj\.",
        r"dpt.encoder.layer.\1.attention.output.dense.",
    ),
    (
        r"pretrained\.model\.blocks\.(\d+)\.mlp\.fc1\.",
        r"dpt.encoder.layer.\1.intermediate.dense.",
    ),
    (r"pretrained\.model\.blocks\.(\d+)\.mlp\.fc2\.", r"dpt.encoder.layer.\1.output.dense."),
    (r"pretrained\.model\.blocks\.(\d+)\.norm1\.", r"dpt.encoder.layer.\1.layernorm_before."),
    (r"pretrained\.model\.blocks\.(\d+)\.norm2\.", r"dpt.encoder.layer.\1.layernorm_after."),
    (r"pretrained\.model\.norm\.", "dpt.layernorm."),
    (r"scratch\.output_conv\.", "head.head."),
)
_ATTENTION = re.compile(r"pretrained\.model\.blocks\.(\d+)\.attn\.qkv\.(weight|bias)")
_READOUT = re.compile(r"pretrained\.act_postprocess([34])\.(0\.project\.0|3|4)\.(weight|bias)")
_FUSION = re.compile(
    r"scratch\.refinenet([1-4])\.(out_conv|resConfUnit([12])\.conv([12]))\.(weight|bias)"
)
_CONVOLUTION = re.compile(r"scratch\.layer([1-4])_rn\.weight")


def read_midas(names: Names) -> tuple[dict[str, Any], Names]:
    """Configuration and weights of `DPTForDepthEstimation` from MiDaS' tensors.

    Raises:
        LayoutError: parts are missing, or it is another of MiDaS' models.
    """
    try:
        config = _config(names)
        weights = dict(pair for name in names for pair in _named(name, names[name]))
    except (KeyError, IndexError) as error:
        raise LayoutError(f"tensor {error} is missing") from error
    return config, Names(weights)


def _named(name: str, source: Source) -> Iterator[tuple[str, Source]]:
    """The weights that one tensor holds, by transformers' names."""
    if name.startswith(_UNUSED):
        return
    for found, make in _SPECIAL:
        match = found.fullmatch(name)
        if match:
            yield from make(match, source)
            return
    for pattern, new in _RULES:
        renamed, count = re.subn(f"^{pattern}", new, name)
        if count:
            yield renamed, source
            return
    yield name, source  # what does not belong there is told by name


def _attention(match: re.Match[str], source: Source) -> Iterator[tuple[str, Source]]:
    layer, kind = match.groups()
    for place, part in enumerate(_FUSED):
        name = f"dpt.encoder.layer.{layer}.attention.attention.{part}.{kind}"
        yield name, source.part(place, len(_FUSED))


def _readout(match: re.Match[str], source: Source) -> Iterator[tuple[str, Source]]:
    number, part, kind = match.groups()
    place = int(number) - 1
    layer = f"neck.reassemble_stage.layers.{place}"
    known = {
        "0.project.0": f"neck.reassemble_stage.readout_projects.{place}.0",
        "3": f"{layer}.projection",
        "4": f"{layer}.resize",
    }
    yield f"{known[part]}.{kind}", source


def _fusion(match: re.Match[str], source: Source) -> Iterator[tuple[str, Source]]:
    number, part, unit, convolution, kind = match.groups()
    layer = f"neck.fusion_stage.layers.{4 - int(number)}"
    place = "projection" if part == "out_conv" else f"residual_layer{unit}.convolution{convolution}"
    yield f"{layer}.{place}.{kind}", source


def _convolution(match: re.Match[str], source: Source) -> Iterator[tuple[str, Source]]:
    yield f"neck.convs.{int(match[1]) - 1}.weight", source


_SPECIAL = (
    (_ATTENTION, _attention),
    (_READOUT, _readout),
    (_FUSION, _fusion),
    (_CONVOLUTION, _convolution),
)


def _config(names: Names) -> dict[str, Any]:
    width = names.shape(_TRUNK + "cls_token")[-1]
    grid = math.isqrt(names.shape(_TRUNK + "pos_embed")[1] - 1)
    layers = names.count(_TRUNK + "blocks.{}.norm1.weight")
    necks = [names.shape(f"scratch.layer{place}_rn.weight")[1] for place in range(1, 5)]
    stages = [f"{_RESNET}stages.{place}.blocks." for place in range(STAGES)]
    return {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": max(1, width // HEAD_WIDTH),
        "intermediate_size": names.shape(_TRUNK + "blocks.0.mlp.fc1.weight")[0],
        "image_size": grid * MIDAS_PATCH,
        "neck_hidden_sizes": necks,
        "fusion_hidden_size": names.shape("scratch.layer1_rn.weight")[0],
        "stem_width": names.shape(_RESNET + "stem.conv.weight")[0],
        "stage_widths": [names.shape(f"{stage}0.conv3.weight")[0] for stage in stages],
        "stage_depths": [names.count(stage + "{}.conv1.weight") for stage in stages],
    }
