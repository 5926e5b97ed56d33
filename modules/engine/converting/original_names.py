"""From a diffusers model to the names of the original code: `checkpoints.layouts` backwards."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from modules.catalog.errors import UnsupportedModelError
from modules.engine.checkpoints.components import ComponentPlan, Source
from modules.engine.checkpoints.families import ModelPlan
from modules.engine.checkpoints.layouts.original_unet import ENDS, RESIDUAL
from modules.engine.converting.transformer_pieces import flux_pieces, mmdit_pieces, text_pieces
from modules.engine.merging.pieces import Piece

UNET, VAE = "model.diffusion_model.", "first_stage_model."
CLIP_1, OPEN_CLIP_2 = "cond_stage_model.transformer.text_model.", "cond_stage_model.model."
FIRST_XL = "conditioner.embedders.0.transformer.text_model."
SECOND_XL = "conditioner.embedders.1.model."
REFINER = "conditioner.embedders.0.model."
FLUX_VAE = "vae."
SD2_LAYERS = 24
"""The last of them is never used, and folders do not have it."""

Pieces = dict[str, Piece]
Namer = Callable[[str], str]


def original_pieces(plan: ModelPlan) -> Pieces:
    """All weights of a planned model under the names of the original layout.

    Raises:
        UnsupportedModelError: the family has no single file in this layout, or weights of unknown
            names.
    """
    if plan.family not in _WRITERS:
        reason = f"is a folder of the family {plan.family}, which cannot be made one file yet"
        raise UnsupportedModelError(plan.path, reason)
    network, texts = _WRITERS[plan.family]
    vae = FLUX_VAE if plan.family == "flux" else VAE
    try:
        pieces = {
            **_below(UNET, network(plan.components["unet"].sources)),
            **_below(vae, vae_pieces(plan.components["vae"].sources)),
            **texts(plan.components),
        }
    except KeyError as error:
        reason = f"has a weight that the original layout does not know ({error})"
        raise UnsupportedModelError(plan.path, reason) from error
    if plan.scheduler.get("prediction_type") == "v_prediction" and plan.family != "sd2":
        pieces["v_pred"] = Piece.zeros((0,), "F16")
    if plan.scheduler.get("rescale_betas_zero_snr"):
        pieces["ztsnr"] = Piece.zeros((0,), "F16")
    return pieces


def _below(prefix: str, pieces: Mapping[str, Piece]) -> Pieces:
    return {prefix + name: piece for name, piece in pieces.items()}


def _sd1(components: Mapping[str, ComponentPlan]) -> Pieces:
    return _below(CLIP_1, _plain(components["text_encoder"].sources))


def _sd2(components: Mapping[str, ComponentPlan]) -> Pieces:
    return _below(OPEN_CLIP_2, open_clip_pieces(components["text_encoder"].sources, SD2_LAYERS))


def _sdxl(components: Mapping[str, ComponentPlan]) -> Pieces:
    second = open_clip_pieces(components["text_encoder_2"].sources)
    if "text_encoder" not in components:
        return _below(REFINER, second)
    first = _plain(components["text_encoder"].sources)
    return {**_below(FIRST_XL, first), **_below(SECOND_XL, second)}


def _plain(sources: Mapping[str, Source]) -> Pieces:
    return {name.removeprefix("text_model."): Piece.of(source) for name, source in sources.items()}


# ---- the UNet


def unet_pieces(sources: Mapping[str, Source]) -> Pieces:
    """A UNet under its original names.

    Raises:
        KeyError: a weight has no original name.
    """
    table = _unet_prefixes(sources)
    return {_renamed(name, table, _residual): Piece.of(source) for name, source in sources.items()}


def _unet_prefixes(names: Mapping[str, Source]) -> dict[str, str]:
    """Beginnings of diffusers' names to original ones."""
    table = {new: old for old, new in ENDS.items()}
    for label in ("add_embedding", "class_embedding"):
        table |= {f"{label}.linear_1": "label_emb.0.0", f"{label}.linear_2": "label_emb.0.2"}
    number = 1
    for level in range(_count(names, "down_blocks.{}.resnets.0.norm1.weight")):
        block = f"down_blocks.{level}"
        for place in range(_count(names, block + ".resnets.{}.norm1.weight")):
            table[f"{block}.resnets.{place}"] = f"input_blocks.{number}.0"
            table[f"{block}.attentions.{place}"] = f"input_blocks.{number}.1"
            number += 1
        if f"{block}.downsamplers.0.conv.weight" in names:
            table[f"{block}.downsamplers.0.conv"] = f"input_blocks.{number}.0.op"
            number += 1
    table |= {
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
    }
    number = 0
    for level in range(_count(names, "up_blocks.{}.resnets.0.norm1.weight")):
        block = f"up_blocks.{level}"
        count = _count(names, block + ".resnets.{}.norm1.weight")
        for place in range(count):
            table[f"{block}.resnets.{place}"] = f"output_blocks.{number}.0"
            table[f"{block}.attentions.{place}"] = f"output_blocks.{number}.1"
            number += 1
        attends = any(name.startswith(f"{block}.attentions.{count - 1}.") for name in names)
        table[f"{block}.upsamplers.0.conv"] = f"output_blocks.{number - 1}.{1 + attends}.conv"
    return table


_RESIDUAL = {new: old for old, new in RESIDUAL.items()}


def _residual(prefix: str, rest: str) -> str:
    """The inside of a residual block; everything else keeps its name."""
    if ".resnets." not in prefix:
        return rest
    part, _, kind = rest.rpartition(".")
    return f"{_RESIDUAL[part]}.{kind}"


def _renamed(name: str, table: Mapping[str, str], inner: Callable[[str, str], str]) -> str:
    parts = name.split(".")
    for length in (5, 4, 3, 2, 1):
        prefix = ".".join(parts[:length])
        if prefix in table and length < len(parts):
            return f"{table[prefix]}.{inner(prefix, '.'.join(parts[length:]))}"
    raise KeyError(name)


_Network = Callable[[Mapping[str, Source]], Pieces]
_Texts = Callable[[Mapping[str, ComponentPlan]], Pieces]
_WRITERS: Mapping[str, tuple[_Network, _Texts]] = {
    "sd1": (unet_pieces, _sd1),
    "sd2": (unet_pieces, _sd2),
    "sdxl": (unet_pieces, _sdxl),
    "sd3": (mmdit_pieces, text_pieces),
    "flux": (flux_pieces, text_pieces),
}

# ---- the VAE

_VAE_ENDS = {"conv_norm_out": "norm_out"}
_VAE_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}
_LEVEL = re.compile(r"(encoder\.down|decoder\.up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"(encoder|decoder)\.mid_block\.(resnets|attentions)\.(\d+)\.(.+)")


def vae_pieces(sources: Mapping[str, Source]) -> Pieces:
    """A VAE under its original names; its attention's matrices become 1x1 convolutions.

    Raises:
        KeyError: a weight has no original name.
    """
    levels = _count(sources, "decoder.up_blocks.{}.resnets.0.norm1.weight")
    pieces = {}
    for name, source in sources.items():
        original = _vae_name(name, levels)
        shape = source.shape
        if ".mid.attn_1." in original and len(shape) == 2:
            shape = (*shape, 1, 1)
        pieces[original] = Piece.of(source, shape=shape)
    return pieces


def _vae_name(name: str, levels: int) -> str:
    level = _LEVEL.fullmatch(name)
    if level:
        number = int(level[2]) if level[1] == "encoder.down" else levels - 1 - int(level[2])
        block = f"{level[1]}.{number}"
        if level[3] == "resnets":
            rest = level[5].replace("conv_shortcut", "nin_shortcut")
            return f"{block}.block.{level[4]}.{rest}"
        sampler = {"downsamplers": "downsample", "upsamplers": "upsample"}[level[3]]
        return f"{block}.{sampler}.{level[5]}"
    middle = _MIDDLE.fullmatch(name)
    if middle and middle[2] == "resnets":
        return f"{middle[1]}.mid.block_{int(middle[3]) + 1}.{middle[4]}"
    if middle:
        part, _, kind = middle[4].rpartition(".")
        return f"{middle[1]}.mid.attn_1.{_VAE_ATTENTION[part]}.{kind}"
    parts = name.split(".")
    if len(parts) == 3 and parts[1] in _VAE_ENDS:
        return f"{parts[0]}.{_VAE_ENDS[parts[1]]}.{parts[2]}"
    return name


# ---- OpenCLIP

_OPEN_CLIP_ENDS = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
}
_OPEN_CLIP_PARTS = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_FUSED = ("q_proj", "k_proj", "v_proj")
_LAYER = re.compile(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")


def open_clip_pieces(sources: Mapping[str, Source], layers: int = 0) -> Pieces:
    """A text model under OpenCLIP's names: query, key and value in one matrix, the projection
    turned. Layers that are missing up to `layers` are filled with zeros.

    Raises:
        KeyError: a weight has no original name.
    """
    plain = {name.removeprefix("text_model."): source for name, source in sources.items()}
    pieces = dict(_open_clip(plain))
    found = _count(plain, "encoder.layers.{}.layer_norm1.weight")
    for layer in range(found, layers if found else 0):
        for name, piece in list(pieces.items()):
            if name.startswith("transformer.resblocks.0."):
                new = name.replace(".0.", f".{layer}.", 1)
                pieces[new] = Piece.zeros(piece.shape, piece.dtype)
    return pieces


def _open_clip(sources: Mapping[str, Source]) -> Iterator[tuple[str, Piece]]:
    for name, source in sources.items():
        if name in _OPEN_CLIP_ENDS:
            yield _OPEN_CLIP_ENDS[name], Piece.of(source)
            continue
        if name == "text_projection.weight":
            turned = replace(source, transposed=not source.transposed)
            yield "text_projection", Piece.of(turned)
            continue
        match = _LAYER.fullmatch(name)
        if match is None:
            raise KeyError(name)
        layer, part, kind = match.groups()
        block = f"transformer.resblocks.{layer}"
        if not part.endswith(_FUSED):
            yield f"{block}.{_OPEN_CLIP_PARTS[part]}.{kind}", Piece.of(source)
        elif part.endswith(_FUSED[0]):
            start = f"encoder.layers.{layer}.self_attn."
            fused = [sources[f"{start}{other}.{kind}"] for other in _FUSED]
            yield f"{block}.attn.in_proj_{kind}", Piece.of(*fused)


def _count(names: Mapping[str, Source], pattern: str) -> int:
    number = 0
    while pattern.format(number) in names:
        number += 1
    return number
