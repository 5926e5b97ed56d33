"""Tiny random models of the SD3 and FLUX.1 architectures, as diffusers' folders and single files.

The folders are written by diffusers itself. The single files hold the same weights under the names
of the original layouts, with fused projections and shift before scale.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.tiny_models import REPOSITORY, _enliven, _vae_key

if TYPE_CHECKING:
    import torch

CLIP_TOKENIZER = REPOSITORY / "configs" / "tokenizers" / "clip"
T5_TOKENIZER = REPOSITORY / "configs" / "tokenizers" / "t5"
VOCABULARY = 49_408
UNET = "model.diffusion_model."
VAE_CHANNELS = (32, 32, 32, 32)


@dataclass(frozen=True)
class TinyDit:
    """What a tiny transformer model is made of."""

    family: str
    """ "sd3" or "flux"."""
    transformer: Mapping[str, Any]
    scheduler: Mapping[str, Any]
    t5: bool = True
    scaling: tuple[float, float] = (1.5305, 0.0609)
    """Scaling and shift factor of the VAE."""
    seed: int = 3


def sd3(kind: str = "medium", *, t5: bool = True) -> TinyDit:
    """SD3 medium, "3.5 medium" (dual attention and norms) or "3.5 large" (norms)."""
    norms = {"qk_norm": "rms_norm"} if kind != "medium" else {}
    dual = {"dual_attention_layers": (0,)} if kind == "3.5 medium" else {}
    return TinyDit(
        "sd3",
        {
            "sample_size": 8,
            "patch_size": 2,
            "in_channels": 16,
            "out_channels": 16,
            "num_layers": 2,
            "attention_head_dim": 64,
            "num_attention_heads": 1,
            "joint_attention_dim": 224,
            "caption_projection_dim": 64,
            "pooled_projection_dim": 192,
            "pos_embed_max_size": 12,
            **norms,
            **dual,
        },
        {"shift": 3.0},
        t5=t5,
    )


def flux(kind: str = "dev") -> TinyDit:
    """FLUX.1 dev (told a guidance, times by size) or schnell."""
    dev = kind == "dev"
    return TinyDit(
        "flux",
        {
            "patch_size": 1,
            "in_channels": 64,
            "num_layers": 1,
            "num_single_layers": 2,
            "attention_head_dim": 32,
            "num_attention_heads": 2,
            "joint_attention_dim": 224,
            "pooled_projection_dim": 64,
            "guidance_embeds": dev,
            "axes_dims_rope": (4, 14, 14),
        },
        {"use_dynamic_shifting": dev, "shift": 3.0 if dev else 1.0},
        scaling=(0.3611, 0.1159),
    )


@dataclass
class Made:
    """A tiny model's pipeline in diffusers."""

    kind: TinyDit
    pipe: Any
    folder: Path
    parts: dict[str, Any] = field(default_factory=dict)


def make(parent: Path, kind: TinyDit) -> Made:
    """Build the model with random weights and write it as a folder below `parent`."""
    import torch
    from diffusers import (
        AutoencoderKL,
        FlowMatchEulerDiscreteScheduler,
        FluxPipeline,
        FluxTransformer2DModel,
        SD3Transformer2DModel,
        StableDiffusion3Pipeline,
    )
    from transformers import CLIPTokenizer, T5EncoderModel, T5TokenizerFast

    width = kind.transformer["joint_attention_dim"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(kind.seed)
        transformer_class = (
            SD3Transformer2DModel if kind.family == "sd3" else FluxTransformer2DModel
        )
        transformer = transformer_class(**kind.transformer)
        vae = AutoencoderKL(**_vae_config(kind))
        t5 = T5EncoderModel(_t5_config(width)) if kind.t5 else None
        clips = _clips(kind.family)
        networks = [transformer, vae, *clips, *([t5] if t5 else [])]
        for network in networks:
            _enliven(network)
            network.eval().requires_grad_(False)
    tokenizer = CLIPTokenizer.from_pretrained(CLIP_TOKENIZER, local_files_only=True)
    t5_tokenizer = T5TokenizerFast.from_pretrained(T5_TOKENIZER, local_files_only=True)
    scheduler = FlowMatchEulerDiscreteScheduler(**kind.scheduler)
    common = {"transformer": transformer, "vae": vae, "scheduler": scheduler}
    if kind.family == "sd3":
        second = CLIPTokenizer.from_pretrained(CLIP_TOKENIZER, local_files_only=True, pad_token="!")
        pipe = StableDiffusion3Pipeline(
            **common,
            text_encoder=clips[0],
            text_encoder_2=clips[1],
            text_encoder_3=t5,
            tokenizer=tokenizer,
            tokenizer_2=second,
            tokenizer_3=t5_tokenizer if kind.t5 else None,
        )
    else:
        pipe = FluxPipeline(
            **common,
            text_encoder=clips[0],
            text_encoder_2=t5,
            tokenizer=tokenizer,
            tokenizer_2=t5_tokenizer,
        )
    pipe.set_progress_bar_config(disable=True)
    folder = parent / "folder"
    pipe.save_pretrained(folder)
    # The shipped tokenizers are the same and load once for all tests.
    for own in folder.glob("tokenizer*"):
        shutil.rmtree(own)
    parts = {"transformer": transformer, "vae": vae, "clip_l": clips[0], "t5": t5}
    if len(clips) > 1:
        parts["clip_g"] = clips[1]
    return Made(kind, pipe, folder, parts)


def write_single(
    path: Path, made: Made, *, parts: Iterable[str] = ("clip_l", "clip_g", "t5", "vae")
) -> Path:
    """Write the model as one file in the original layout, with these parts beside the transformer.

    Without parts the transformer's names have no prefix, as its makers publish it.
    """
    from safetensors.torch import save_file

    parts = [name for name in parts if made.parts.get(name) is not None]
    prefix = UNET if parts else ""
    state = {prefix + key: value for key, value in original_transformer(made).items()}
    for name in parts:
        state.update(_part(made, name))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous().clone() for key, value in state.items()}, str(path))
    return path


def write_part(path: Path, made: Made, name: str) -> Path:
    """Write one text encoder or the VAE as a file of its own."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    state = text_state(made.parts[name]) if name != "vae" else _vae_state(made)
    save_file({key: value.contiguous().clone() for key, value in state.items()}, str(path))
    return path


def original_transformer(made: Made) -> dict[str, torch.Tensor]:
    """The transformer's weights in its makers' layout, without a prefix."""
    state = made.parts["transformer"].state_dict()
    return _mmdit(state) if made.kind.family == "sd3" else _flux(state)


def text_state(network: Any) -> dict[str, torch.Tensor]:
    """A text encoder's weights as published files name them."""
    state = {}
    for key, value in network.state_dict().items():
        if type(network).__name__.startswith("CLIP"):
            own = key.startswith(("text_model.", "text_projection."))
            key = key if own else f"text_model.{key}"
        state[key] = value
    return state


def _part(made: Made, name: str) -> dict[str, torch.Tensor]:
    if name == "vae":
        prefix = "first_stage_model." if made.kind.family == "sd3" else "vae."
        return {prefix + key: value for key, value in _vae_state(made).items()}
    file = {"clip_l": "clip_l", "clip_g": "clip_g", "t5": "t5xxl"}[name]
    prefix = f"text_encoders.{file}.transformer."
    return {prefix + key: value for key, value in text_state(made.parts[name]).items()}


def _vae_state(made: Made) -> dict[str, torch.Tensor]:
    state = {}
    for key, value in made.parts["vae"].state_dict().items():
        name = _vae_key(key, len(VAE_CHANNELS))
        attention = ".attn_1." in name and name.endswith("weight") and ".norm." not in name
        state[name] = value[:, :, None, None] if attention else value
    return state


def _vae_config(kind: TinyDit) -> dict[str, Any]:
    return {
        "latent_channels": 16,
        "block_out_channels": VAE_CHANNELS,
        "down_block_types": ["DownEncoderBlock2D"] * len(VAE_CHANNELS),
        "up_block_types": ["UpDecoderBlock2D"] * len(VAE_CHANNELS),
        "layers_per_block": 1,
        "sample_size": 64,
        "scaling_factor": kind.scaling[0],
        "shift_factor": kind.scaling[1],
        "use_quant_conv": False,
        "use_post_quant_conv": False,
    }


def _clips(family: str) -> list[Any]:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    def config(width: int, act: str) -> Any:
        return CLIPTextConfig(
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=3,
            num_attention_heads=width // 64,
            vocab_size=VOCABULARY,
            projection_dim=width,
            hidden_act=act,
            bos_token_id=0,
            eos_token_id=2,
        )

    if family == "flux":
        return [CLIPTextModel(config(64, "quick_gelu"))]
    shapes = (64, "quick_gelu"), (128, "gelu")
    return [CLIPTextModelWithProjection(config(*shape)) for shape in shapes]


def _t5_config(width: int) -> Any:
    from transformers import T5Config

    return T5Config(
        vocab_size=32_128,
        d_model=width,
        d_kv=16,
        d_ff=96,
        num_layers=2,
        num_heads=2,
        feed_forward_proj="gated-gelu",
    )


def _joined(state: Mapping[str, torch.Tensor], names: Iterable[str]) -> torch.Tensor:
    import torch

    return torch.cat([state[name] for name in names])


def _shift_first(value: torch.Tensor) -> torch.Tensor:
    """diffusers' scale, shift as the makers' shift, scale."""
    import torch

    scale, shift = value.chunk(2)
    return torch.cat([shift, scale])


def _mmdit(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    ends = {
        "pos_embed.pos_embed": "pos_embed",
        "pos_embed.proj": "x_embedder.proj",
        "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
        "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
        "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
        "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
        "context_embedder": "context_embedder",
        "proj_out": "final_layer.linear",
        "norm_out.linear": "final_layer.adaLN_modulation.1",
    }
    inner = {
        "norm1.linear": "x_block.adaLN_modulation.1",
        "norm1_context.linear": "context_block.adaLN_modulation.1",
        "attn.to_out.0": "x_block.attn.proj",
        "attn2.to_out.0": "x_block.attn2.proj",
        "attn.to_add_out": "context_block.attn.proj",
        "attn.norm_q": "x_block.attn.ln_q",
        "attn.norm_k": "x_block.attn.ln_k",
        "attn2.norm_q": "x_block.attn2.ln_q",
        "attn2.norm_k": "x_block.attn2.ln_k",
        "attn.norm_added_q": "context_block.attn.ln_q",
        "attn.norm_added_k": "context_block.attn.ln_k",
        "ff.net.0.proj": "x_block.mlp.fc1",
        "ff.net.2": "x_block.mlp.fc2",
        "ff_context.net.0.proj": "context_block.mlp.fc1",
        "ff_context.net.2": "context_block.mlp.fc2",
    }
    fused = {
        "attn.to_": "x_block.attn.qkv",
        "attn2.to_": "x_block.attn2.qkv",
        "attn.add_": "context_block.attn.qkv",
    }
    layers = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("transformer_"))
    made: dict[str, Any] = {}
    for key, value in state.items():
        stem, _, kind = key.rpartition(".")
        if key in ends:
            made[ends[key]] = value
        elif stem in ends:
            swap = stem == "norm_out.linear"
            made[f"{ends[stem]}.{kind}"] = _shift_first(value) if swap else value
        else:
            _, number, rest = stem.split(".", 2)
            if rest in inner:
                last = rest == "norm1_context.linear" and int(number) == layers - 1
                name = f"joint_blocks.{number}.{inner[rest]}.{kind}"
                made[name] = _shift_first(value) if last else value
    for number in range(layers):
        start = f"transformer_blocks.{number}."
        for theirs, ours in fused.items():
            ending = "_proj" if theirs == "attn.add_" else ""
            names = [f"{start}{theirs}{one}{ending}" for one in "qkv"]
            for kind in ("weight", "bias"):
                if f"{names[0]}.{kind}" in state:
                    parts = [f"{name}.{kind}" for name in names]
                    made[f"joint_blocks.{number}.{ours}.{kind}"] = _joined(state, parts)
    return made


def _flux(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    ends = {
        "x_embedder": "img_in",
        "context_embedder": "txt_in",
        "time_text_embed.timestep_embedder.linear_1": "time_in.in_layer",
        "time_text_embed.timestep_embedder.linear_2": "time_in.out_layer",
        "time_text_embed.text_embedder.linear_1": "vector_in.in_layer",
        "time_text_embed.text_embedder.linear_2": "vector_in.out_layer",
        "time_text_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
        "time_text_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
        "proj_out": "final_layer.linear",
        "norm_out.linear": "final_layer.adaLN_modulation.1",
    }
    double = {
        "norm1.linear": "img_mod.lin",
        "norm1_context.linear": "txt_mod.lin",
        "attn.to_out.0": "img_attn.proj",
        "attn.to_add_out": "txt_attn.proj",
        "ff.net.0.proj": "img_mlp.0",
        "ff.net.2": "img_mlp.2",
        "ff_context.net.0.proj": "txt_mlp.0",
        "ff_context.net.2": "txt_mlp.2",
    }
    double_norms = {
        "attn.norm_q": "img_attn.norm.query_norm",
        "attn.norm_k": "img_attn.norm.key_norm",
        "attn.norm_added_q": "txt_attn.norm.query_norm",
        "attn.norm_added_k": "txt_attn.norm.key_norm",
    }
    single = {"norm.linear": "modulation.lin", "proj_out": "linear2"}
    single_norms = {"attn.norm_q": "norm.query_norm", "attn.norm_k": "norm.key_norm"}
    made: dict[str, Any] = {}
    for key, value in state.items():
        stem, _, kind = key.rpartition(".")
        if stem in ends:
            swap = stem == "norm_out.linear"
            made[f"{ends[stem]}.{kind}"] = _shift_first(value) if swap else value
            continue
        blocks, number, rest = stem.split(".", 2)
        is_single = blocks.startswith("single")
        start = f"{'single' if is_single else 'double'}_blocks.{number}."
        if rest in (single if is_single else double):
            made[f"{start}{(single if is_single else double)[rest]}.{kind}"] = value
        elif rest in (single_norms if is_single else double_norms):
            made[f"{start}{(single_norms if is_single else double_norms)[rest]}.scale"] = value
        elif rest == "attn.to_q":
            theirs = key.replace(f".to_q.{kind}", "")
            names = [f"{theirs}.to_{one}.{kind}" for one in "qkv"]
            if is_single:
                names.append(f"{blocks}.{number}.proj_mlp.{kind}")
            made[f"{start}{'linear1' if is_single else 'img_attn.qkv'}.{kind}"] = _joined(
                state, names
            )
        elif rest == "attn.add_q_proj":
            theirs = key.replace(f".add_q_proj.{kind}", "")
            names = [f"{theirs}.add_{one}_proj.{kind}" for one in "qkv"]
            made[f"{start}txt_attn.qkv.{kind}"] = _joined(state, names)
    return made
