"""Tiny random models of the Stable Diffusion 2.x and SDXL architectures, in both layouts.

Everything that the real models have is there: OpenCLIP's fused attention and transposed projection,
the last layer that SD 2.x never reads, two text models, sizes and scores. The same seed gives the
same weights in a diffusers folder and in one file of the original layout.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tests.support.tiny_models import (
    TOKENIZER,
    TinyComponents,
    TinyShape,
    _cast,
    _enliven,
    _unet_key,
    original_vae,
    scheduler_config,
    vae_config,
)

if TYPE_CHECKING:
    import torch

Layout = Literal["folder", "single"]
VOCABULARY = 49_408


@dataclass(frozen=True)
class TinyText:
    """One CLIP text model."""

    width: int
    layers: int = 3
    act: str = "gelu"
    projection: int | None = None

    def config(self) -> dict[str, Any]:
        """Arguments of `CLIPTextConfig`."""
        return {
            "hidden_size": self.width,
            "intermediate_size": 2 * self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": max(1, self.width // 64),
            "vocab_size": VOCABULARY,
            "max_position_embeddings": 77,
            "projection_dim": self.projection or self.width,
            "hidden_act": self.act,
            "bos_token_id": VOCABULARY - 2,
            "eos_token_id": VOCABULARY - 1,
            "pad_token_id": 1,
        }


@dataclass(frozen=True)
class TinyFamily:
    """What a tiny model is made of."""

    pipeline: str
    texts: Mapping[str, TinyText]
    """By diffusers' component names."""
    unet: Mapping[str, Any]
    """Arguments of `UNet2DConditionModel` beyond the sizes of `shape`."""
    shape: TinyShape
    index: Mapping[str, Any] = field(default_factory=dict)
    """Further entries of model_index.json."""
    vision: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `CLIPVisionConfig`; empty without a vision model."""

    def __hash__(self) -> int:
        return hash(repr(self))


_SHAPE = TinyShape(
    unet_channels=(64, 128), unet_attention=(True, True), linear_projection=True, text_width=64
)


def sd2_family(in_channels: int = 4) -> TinyFamily:
    """Stable Diffusion 2.x: one OpenCLIP text model, heads of width 64."""
    shape = replace(_SHAPE, unet_attention=(True, False), unet_in_channels=in_channels)
    pipelines = {
        4: "StableDiffusionPipeline",
        9: "StableDiffusionInpaintPipeline",
        5: "StableDiffusionDepth2ImgPipeline",
    }
    return TinyFamily(
        pipelines[in_channels],
        {"text_encoder": TinyText(64)},
        {"attention_head_dim": [1, 2], "sample_size": 8},
        shape,
    )


_SEEN = 96
"""Width of unCLIP's embedded pictures."""
VISION: Mapping[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 160,
    "projection_dim": _SEEN,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
    "hidden_act": "gelu",
}


def unclip_family() -> TinyFamily:
    """Stable Diffusion 2.1 unCLIP: told what a picture shows by a vision model of its own."""
    family = sd2_family()
    told = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 2 * _SEEN}
    return replace(
        family,
        pipeline="StableUnCLIPImg2ImgPipeline",
        unet={**family.unet, **told},
        vision=VISION,
    )


_FIRST, _SECOND = TinyText(32, act="quick_gelu"), TinyText(64, projection=48)
_EACH = 8
"""Width of one embedded size."""


def sdxl_family(in_channels: int = 4) -> TinyFamily:
    """SDXL's base: CLIP-L and bigG, no attention at the full size, two transformers deep below."""
    shape = replace(
        _SHAPE,
        unet_attention=(False, True),
        unet_in_channels=in_channels,
        scaling_factor=0.13025,
    )
    pipeline = {
        4: "StableDiffusionXLPipeline",
        9: "StableDiffusionXLInpaintPipeline",
        8: "StableDiffusionXLInstructPix2PixPipeline",
    }
    return TinyFamily(
        pipeline[in_channels],
        {"text_encoder": _FIRST, "text_encoder_2": _SECOND},
        {
            **_told(6),
            "cross_attention_dim": _FIRST.width + _SECOND.width,
            "transformer_layers_per_block": [1, 2],
        },
        shape,
        {"force_zeros_for_empty_prompt": True},
    )


def pruned_sdxl_family() -> TinyFamily:
    """Built like SSD-1B: shallower going down, deeper going up, a middle without attention."""
    family = sdxl_family()
    return replace(
        family,
        shape=replace(family.shape, unet_layers=2),
        unet={
            **family.unet,
            "mid_block_type": "UNetMidBlock2D",
            "transformer_layers_per_block": [1, [2, 2]],
            "reverse_transformer_layers_per_block": [[2, 2, 3], 1],
        },
    )


def refiner_family() -> TinyFamily:
    """SDXL's refiner: bigG alone, told a score instead of the target size."""
    shape = replace(
        _SHAPE,
        unet_channels=(64, 128, 128),
        unet_attention=(False, True, False),
        scaling_factor=0.13025,
    )
    return TinyFamily(
        "StableDiffusionXLImg2ImgPipeline",
        {"text_encoder_2": _SECOND},
        {
            **_told(5),
            "attention_head_dim": [1, 2, 2],
            "cross_attention_dim": _SECOND.width,
            "transformer_layers_per_block": [2, 2, 2],
        },
        shape,
        {"requires_aesthetics_score": True, "force_zeros_for_empty_prompt": False},
    )


def _told(count: int) -> dict[str, Any]:
    return {
        "attention_head_dim": [1, 2],
        "sample_size": 8,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": _EACH,
        "projection_class_embeddings_input_dim": _SECOND.projection + count * _EACH,
    }


@dataclass(frozen=True)
class Made:
    """The networks of a tiny model."""

    family: TinyFamily
    unet: Any
    vae: Any
    texts: Mapping[str, Any]
    seeing: Mapping[str, Any] = field(default_factory=dict)
    """Vision model and statistics, by diffusers' component names."""


@lru_cache(maxsize=8)
def make(family: TinyFamily, seed: int = 0) -> Made:
    """Build the networks with random weights that depend on `seed` alone."""
    import torch

    from modules.engine.compat.torchvision_ops import make_torchvision_importable

    make_torchvision_importable()
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(**_unet_config(family))
        vae = AutoencoderKL(**vae_config(family.shape))
        texts = {}
        for name, text in family.texts.items():
            made = CLIPTextModelWithProjection if text.projection else CLIPTextModel
            texts[name] = made(CLIPTextConfig(**text.config()))
        seeing = _seeing(family) if family.vision else {}
        for network in (unet, vae, *texts.values(), *seeing.values()):
            _enliven(network)
            network.eval().requires_grad_(False)
    return Made(family, unet, vae, texts, seeing)


def _seeing(family: TinyFamily) -> dict[str, Any]:
    import torch
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import (
        StableUnCLIPImageNormalizer,
    )
    from transformers.models.clip.configuration_clip import CLIPVisionConfig
    from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection

    normaliser = StableUnCLIPImageNormalizer(family.vision["projection_dim"])
    normaliser.mean = torch.nn.Parameter(torch.randn_like(normaliser.mean))
    normaliser.std = torch.nn.Parameter(1 + torch.rand_like(normaliser.std))
    encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**family.vision))
    return {"image_encoder": encoder, "image_normalizer": normaliser}


def _unet_config(family: TinyFamily) -> dict[str, Any]:
    shape = family.shape
    down = ["CrossAttnDownBlock2D" if on else "DownBlock2D" for on in shape.unet_attention]
    up = ["CrossAttnUpBlock2D" if on else "UpBlock2D" for on in reversed(shape.unet_attention)]
    return {
        "in_channels": shape.unet_in_channels,
        "out_channels": 4,
        "block_out_channels": list(shape.unet_channels),
        "layers_per_block": shape.unet_layers,
        "down_block_types": down,
        "up_block_types": up,
        "cross_attention_dim": shape.text_width,
        "norm_num_groups": shape.unet_groups,
        "use_linear_projection": True,
        **family.unet,
    }


def write(
    parent: Path,
    family: TinyFamily,
    layout: Layout,
    *,
    name: str = "tiny",
    seed: int = 0,
    dtype: str = "float32",
    prediction_type: str = "epsilon",
    without: tuple[str, ...] = (),
    ema_only: bool = False,
    more: Mapping[str, torch.Tensor] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write a tiny model; returns the folder or the `.safetensors` file.

    Args:
        prediction_type: only a folder says it.
        without: components that are left out.
        ema_only: a single file with the UNet's moving average alone.
        more: further tensors of a single file.
    """
    made = make(family, seed)
    if layout == "folder":
        return _write_folder(parent / name, made, dtype, prediction_type, without)
    state = original(made, without)
    if ema_only:
        state = {_as_average(key): value for key, value in state.items()}
    return _save(parent / f"{name}.safetensors", {**state, **(more or {})}, dtype, metadata)


def original(made: Made, without: tuple[str, ...] = ()) -> dict[str, torch.Tensor]:
    """The weights under the original code's names."""
    state: dict[str, torch.Tensor] = {}
    for key, value in made.unet.state_dict().items():
        state["model.diffusion_model." + _told_key(key, made.family.shape)] = value
    if "vae" not in without:
        vae = TinyComponents(None, made.vae, None, made.family.shape)
        state |= {"first_stage_model." + key: value for key, value in original_vae(vae).items()}
    for component, network in made.texts.items():
        if component not in without:
            state |= _original_text(made.family, component, network)
    if made.seeing:
        state |= _original_vision(made.seeing["image_encoder"])
        for name, value in made.seeing["image_normalizer"].state_dict().items():
            state[f"noise_augmentor.data_{name}"] = value
    return state


def _original_vision(network: Any) -> dict[str, torch.Tensor]:
    state = {k.removeprefix("vision_model."): v for k, v in network.state_dict().items()}
    found = {
        "class_embedding": state["embeddings.class_embedding"],
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "conv1.weight": state["embeddings.patch_embedding.weight"],
        "proj": state["visual_projection.weight"].T.contiguous(),
    }
    for kind in ("weight", "bias"):
        found[f"ln_pre.{kind}"] = state[f"pre_layrnorm.{kind}"]
        found[f"ln_post.{kind}"] = state[f"post_layernorm.{kind}"]
    return {"embedder.model.visual." + k: v for k, v in {**found, **_blocks(state, 0)}.items()}


def _told_key(key: str, shape: TinyShape) -> str:
    if key == "time_embedding.cond_proj.weight":
        return "time_embed.cond_proj.weight"
    for embedding in ("add_embedding", "class_embedding"):
        if key.startswith(embedding):
            _, layer, kind = key.split(".")
            return f"label_emb.0.{0 if layer == 'linear_1' else 2}.{kind}"
    return _unet_key(key, shape)


def _original_text(family: TinyFamily, component: str, network: Any) -> dict[str, torch.Tensor]:
    if component == "text_encoder_2":
        place = 1 if "text_encoder" in family.texts else 0
        return open_clip(network, f"conditioner.embedders.{place}.model.")
    if "text_encoder_2" in family.texts:
        prefix = "conditioner.embedders.0.transformer.text_model."
        return {prefix + key: value for key, value in network.state_dict().items()}
    return open_clip(network, "cond_stage_model.model.", unused_layers=1)


def open_clip(network: Any, prefix: str, unused_layers: int = 0) -> dict[str, torch.Tensor]:
    """A text model under OpenCLIP's names, with random layers at the end that nobody reads."""
    import torch

    state = {k.removeprefix("text_model."): v for k, v in network.state_dict().items()}
    renamed = {
        "token_embedding.weight": state["embeddings.token_embedding.weight"],
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "ln_final.weight": state["final_layer_norm.weight"],
        "ln_final.bias": state["final_layer_norm.bias"],
        "logit_scale": torch.tensor(4.6),
    }
    width = renamed["ln_final.weight"].shape[0]
    projection = state.get("text_projection.weight", torch.zeros(width, width))
    renamed["text_projection"] = projection.T.contiguous()
    renamed |= _blocks(state, unused_layers)
    return {prefix + key: value for key, value in renamed.items()}


def _blocks(state: Mapping[str, torch.Tensor], unused_layers: int) -> dict[str, torch.Tensor]:
    import torch

    renamed: dict[str, torch.Tensor] = {}
    layers = 1 + max(int(k.split(".")[2]) for k in state if k.startswith("encoder.layers."))
    for layer in range(layers + unused_layers):
        source = f"encoder.layers.{min(layer, layers - 1)}."
        block = f"transformer.resblocks.{layer}."
        names = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc"}
        names |= {"mlp.fc2": "mlp.c_proj", "self_attn.out_proj": "attn.out_proj"}
        for kind in ("weight", "bias"):
            for theirs, ours in names.items():
                value = state[f"{source}{theirs}.{kind}"]
                renamed[f"{block}{ours}.{kind}"] = value if layer < layers else value * 3
            fused = [state[f"{source}self_attn.{one}_proj.{kind}"] for one in "qkv"]
            renamed[f"{block}attn.in_proj_{kind}"] = torch.cat(fused)
    return renamed


def _as_average(key: str) -> str:
    start = "model.diffusion_model."
    if not key.startswith(start):
        return key
    return "model_ema.diffusion_model" + key[len(start) :].replace(".", "")


def _save(
    path: Path,
    state: Mapping[str, torch.Tensor],
    dtype: str,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    own = {key: _cast(value.clone(), dtype) for key, value in state.items()}
    save_file(own, str(path), {"format": "pt", **(metadata or {})})
    return path


def _write_folder(
    folder: Path, made: Made, dtype: str, prediction_type: str, without: tuple[str, ...]
) -> Path:
    family = made.family
    index: dict[str, Any] = {
        "_class_name": family.pipeline,
        "_diffusers_version": "0.42.1",
        "scheduler": ["diffusers", "DDIMScheduler"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        **family.index,
    }
    sd2 = "text_encoder_2" not in family.texts
    if sd2:
        index |= {"safety_checker": [None, None], "feature_extractor": [None, None]}
    else:
        index |= {"text_encoder": [None, None], "tokenizer": [None, None]}
    _component(folder / "unet", made.unet, _unet_config(family), dtype, "diffusion_pytorch_model")
    if "vae" not in without:
        index["vae"] = ["diffusers", "AutoencoderKL"]
        config = vae_config(family.shape)
        _component(folder / "vae", made.vae, config, dtype, "diffusion_pytorch_model")
    for name, network in made.texts.items():
        if name in without:
            continue
        index[name] = ["transformers", type(network).__name__]
        _component(folder / name, network, family.texts[name].config(), dtype, "model")
        tokenizer = name.replace("text_encoder", "tokenizer")
        index[tokenizer] = ["transformers", "CLIPTokenizer"]
        _tokenizer(folder / tokenizer, zero_pad=sd2 or name.endswith("2"))
    for name, network in made.seeing.items():
        library = "transformers" if name == "image_encoder" else "stable_diffusion"
        index[name] = [library, type(network).__name__]
        config = dict(family.vision) if name == "image_encoder" else {"embedding_dim": _SEEN}
        stem = "model" if name == "image_encoder" else "diffusion_pytorch_model"
        _component(folder / name, network, config, dtype, stem)
    _json(folder / "scheduler" / "scheduler_config.json", scheduler_config(prediction_type))
    _json(folder / "model_index.json", index)
    return folder


def _component(folder: Path, network: Any, config: dict[str, Any], dtype: str, stem: str) -> None:
    name = type(network).__name__
    head = {"_class_name": name, "_diffusers_version": "0.42.1"}
    state = dict(network.state_dict())
    if name.startswith("CLIP"):
        kind = "vision" if "Vision" in name else "text"
        head = {"architectures": [name], "model_type": f"clip_{kind}_model"}
        whole = ("text_model.", "text_projection.", "vision_model.", "visual_projection.")
        state = {k if k.startswith(whole) else f"text_model.{k}": v for k, v in state.items()}
    _json(folder / "config.json", {**head, **config})
    _save(folder / f"{stem}.safetensors", state, dtype)


def _tokenizer(folder: Path, *, zero_pad: bool) -> None:
    """The shipped tokenizer; OpenCLIP's pads with "!", which is id 0."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in TOKENIZER.iterdir():
        content = file.read_bytes()
        if zero_pad and file.name in ("tokenizer_config.json", "special_tokens_map.json"):
            content = json.dumps({**json.loads(content), "pad_token": "!"}).encode()
        (folder / file.name).write_bytes(content)


def _json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
