"""Tiny random models of the true Stable Diffusion 1.x architecture, written in seconds.

`tiny_sd` writes a model as a diffusers folder or as one file in the original (LDM) layout. The
same seed gives the same weights in both layouts, so that loaders can be compared with each other.
torch and diffusers are imported inside the functions: tests of the server's rooms may import this
module without loading them.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

REPOSITORY = Path(__file__).resolve().parents[2]
TOKENIZER = REPOSITORY / "configs" / "tokenizers" / "clip"

Layout = Literal["folder", "single"]


@dataclass(frozen=True)
class TinyShape:
    """Sizes of a tiny model; the defaults give about 5 million weights, mostly word vectors."""

    unet_channels: tuple[int, ...] = (32, 64)
    unet_attention: tuple[bool, ...] = (True, False)
    unet_layers: int = 1
    unet_in_channels: int = 4
    unet_heads: int = 8
    unet_groups: int = 32
    linear_projection: bool = False
    text_width: int = 64
    text_layers: int = 3
    text_heads: int = 1
    vocabulary: int = 49_408
    vae_channels: tuple[int, ...] = (32, 32, 32, 32)
    vae_layers: int = 1
    vae_groups: int = 32
    vae_mid_attention: bool = True
    scaling_factor: float = 0.18215


@dataclass(frozen=True)
class TinyComponents:
    """The three networks of a tiny model, in float32 and in evaluation mode."""

    unet: Any
    vae: Any
    text_encoder: Any
    shape: TinyShape


def tiny_components(seed: int = 0, shape: TinyShape | None = None) -> TinyComponents:
    """Build the networks with random weights that depend on `seed` alone."""
    import torch

    from modules.engine.compat.torchvision_ops import make_torchvision_importable

    make_torchvision_importable()
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel

    shape = shape or TinyShape()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(**unet_config(shape))
        vae = AutoencoderKL(**vae_config(shape))
        text_encoder = CLIPTextModel(CLIPTextConfig(**text_config(shape)))
        for network in (unet, vae, text_encoder):
            _enliven(network)
    for network in (unet, vae, text_encoder):
        network.eval().requires_grad_(False)
    return TinyComponents(unet, vae, text_encoder, shape)


def unet_config(shape: TinyShape) -> dict[str, Any]:
    """Arguments of `UNet2DConditionModel` for this shape."""
    down = ["CrossAttnDownBlock2D" if on else "DownBlock2D" for on in shape.unet_attention]
    up = ["CrossAttnUpBlock2D" if on else "UpBlock2D" for on in reversed(shape.unet_attention)]
    return {
        "sample_size": 8,
        "in_channels": shape.unet_in_channels,
        "out_channels": 4,
        "block_out_channels": list(shape.unet_channels),
        "layers_per_block": shape.unet_layers,
        "down_block_types": down,
        "up_block_types": up,
        "cross_attention_dim": shape.text_width,
        "attention_head_dim": shape.unet_heads,
        "norm_num_groups": shape.unet_groups,
        "use_linear_projection": shape.linear_projection,
    }


def vae_config(shape: TinyShape) -> dict[str, Any]:
    """Arguments of `AutoencoderKL` for this shape."""
    count = len(shape.vae_channels)
    return {
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 4,
        "block_out_channels": list(shape.vae_channels),
        "down_block_types": ["DownEncoderBlock2D"] * count,
        "up_block_types": ["UpDecoderBlock2D"] * count,
        "layers_per_block": shape.vae_layers,
        "norm_num_groups": shape.vae_groups,
        "sample_size": 64,
        "scaling_factor": shape.scaling_factor,
        "mid_block_add_attention": shape.vae_mid_attention,
    }


def text_config(shape: TinyShape) -> dict[str, Any]:
    """Arguments of `CLIPTextConfig` for this shape."""
    return {
        "hidden_size": shape.text_width,
        "intermediate_size": 4 * shape.text_width,
        "num_hidden_layers": shape.text_layers,
        "num_attention_heads": shape.text_heads,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": 77,
        "projection_dim": shape.text_width,
        "hidden_act": "quick_gelu",
        "bos_token_id": shape.vocabulary - 2,
        "eos_token_id": shape.vocabulary - 1,
        "pad_token_id": 1,
    }


def scheduler_config(
    prediction_type: str = "epsilon", *, zero_terminal_snr: bool = False
) -> dict[str, Any]:
    """The `scheduler_config.json` of a model trained like Stable Diffusion 1.x."""
    return {
        "_class_name": "DDIMScheduler",
        "_diffusers_version": "0.42.1",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
        "prediction_type": prediction_type,
        "rescale_betas_zero_snr": zero_terminal_snr,
        "timestep_spacing": "trailing" if zero_terminal_snr else "leading",
    }


def tiny_sd(
    parent: Path,
    *,
    layout: Layout = "folder",
    name: str = "tiny",
    seed: int = 0,
    dtype: str = "float16",
    shape: TinyShape | None = None,
    prediction_type: str = "epsilon",
    zero_terminal_snr: bool = False,
    with_vae: bool = True,
    with_text_encoder: bool = True,
    with_tokenizer: bool = True,
    components: TinyComponents | None = None,
) -> Path:
    """Write a tiny random SD 1.x model below `parent`.

    Returns the folder (`layout="folder"`) or the `.safetensors` file (`layout="single"`, the
    original layout). A single file of a shape that its tensors do not tell (group counts, heads)
    gets an `.easel.json` sidecar that says so. A folder `with_tokenizer=False` is read with the
    shipped tokenizer, which is the same one and loads once for all tests.
    """
    made = components or tiny_components(seed, shape)
    if layout == "folder":
        return _write_folder(
            parent / name,
            made,
            dtype,
            scheduler_config(prediction_type, zero_terminal_snr=zero_terminal_snr),
            with_vae,
            with_text_encoder,
            with_tokenizer,
        )
    return _write_single(
        parent / f"{name}.safetensors",
        made,
        dtype,
        prediction_type,
        zero_terminal_snr,
        with_vae,
        with_text_encoder,
    )


def _enliven(network: torch.nn.Module) -> None:
    """Give norms and biases random values: fresh ones are 1 and 0, which hides swapped keys."""
    import torch

    with torch.no_grad():
        for key, weight in network.named_parameters():
            if weight.ndim == 1:
                centre = 1.0 if key.endswith("weight") else 0.0
                weight.copy_(centre + 0.1 * torch.randn_like(weight))


def _write_folder(
    folder: Path,
    made: TinyComponents,
    dtype: str,
    scheduler: dict[str, Any],
    with_vae: bool,
    with_text_encoder: bool,
    with_tokenizer: bool,
) -> Path:
    index: dict[str, Any] = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.42.1",
        "feature_extractor": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
    }
    _component(
        folder / "unet",
        made.unet,
        "UNet2DConditionModel",
        unet_config(made.shape),
        dtype,
        "diffusion_pytorch_model.safetensors",
    )
    if with_vae:
        index["vae"] = ["diffusers", "AutoencoderKL"]
        _component(
            folder / "vae",
            made.vae,
            "AutoencoderKL",
            vae_config(made.shape),
            dtype,
            "diffusion_pytorch_model.safetensors",
        )
    if with_text_encoder:
        index["text_encoder"] = ["transformers", "CLIPTextModel"]
        _component(
            folder / "text_encoder",
            made.text_encoder,
            "CLIPTextModel",
            text_config(made.shape),
            dtype,
            "model.safetensors",
        )
    _json(folder / "scheduler" / "scheduler_config.json", scheduler)
    if with_tokenizer:
        shutil.copytree(TOKENIZER, folder / "tokenizer", dirs_exist_ok=True)
    _json(folder / "model_index.json", index)
    return folder


def _component(
    folder: Path, network: Any, class_name: str, config: dict[str, Any], dtype: str, weights: str
) -> None:
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    head = (
        {"architectures": [class_name], "model_type": "clip_text_model"}
        if class_name.startswith("CLIP")
        else {"_class_name": class_name, "_diffusers_version": "0.42.1"}
    )
    _json(folder / "config.json", {**head, **config})
    state = {key: _cast(value, dtype) for key, value in network.state_dict().items()}
    if class_name.startswith("CLIP"):
        state = {_with_text_model(key): value for key, value in state.items()}
    save_file(state, str(folder / weights), metadata={"format": "pt"})


def _write_single(
    path: Path,
    made: TinyComponents,
    dtype: str,
    prediction_type: str,
    zero_terminal_snr: bool,
    with_vae: bool,
    with_text_encoder: bool,
) -> Path:
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    state = original_layout(made, with_vae=with_vae, with_text_encoder=with_text_encoder)
    save_file({k: _cast(v, dtype) for k, v in state.items()}, str(path), {"format": "pt"})
    default = TinyShape()
    sidecar: dict[str, Any] = {}
    if prediction_type != "epsilon" or zero_terminal_snr:
        sidecar["scheduler"] = {
            "prediction_type": prediction_type,
            "rescale_betas_zero_snr": zero_terminal_snr,
        }
    for key, names in {
        "unet": {"unet_heads": "attention_head_dim", "unet_groups": "norm_num_groups"},
        "vae": {"vae_groups": "norm_num_groups", "scaling_factor": "scaling_factor"},
        "text_encoder": {"text_heads": "num_attention_heads"},
    }.items():
        ours, usual = asdict(made.shape), asdict(default)
        told = {diffusers: ours[n] for n, diffusers in names.items() if ours[n] != usual[n]}
        if told:
            sidecar[key] = told
    if sidecar:
        _json(path.with_suffix(".easel.json"), sidecar)
    return path


def original_layout(
    made: TinyComponents, *, with_vae: bool = True, with_text_encoder: bool = True
) -> dict[str, torch.Tensor]:
    """The weights under the names of the original (LDM) Stable Diffusion 1.x checkpoints."""
    import torch

    state: dict[str, torch.Tensor] = {}
    for key, value in made.unet.state_dict().items():
        state["model.diffusion_model." + _unet_key(key, made.shape)] = value
    if with_vae:
        for key, value in original_vae(made).items():
            state["first_stage_model." + key] = value
    if with_text_encoder:
        prefix = "cond_stage_model.transformer."
        for key, value in made.text_encoder.state_dict().items():
            state[prefix + _with_text_model(key)] = value
        state[prefix + "text_model.embeddings.position_ids"] = torch.arange(77)[None]
    return state


def original_vae(made: TinyComponents) -> dict[str, torch.Tensor]:
    """The VAE's weights under their original names, without a prefix, as separate VAE files."""
    levels = len(made.shape.vae_channels)
    state = {}
    for key, value in made.vae.state_dict().items():
        name = _vae_key(key, levels)
        attention = ".attn_1." in name and name.endswith("weight") and ".norm." not in name
        state[name] = value[:, :, None, None] if attention else value
    return state


def _unet_key(key: str, shape: TinyShape) -> str:
    """One diffusers UNet key in the original naming."""
    parts = key.split(".")
    levels, layers = len(shape.unet_channels), shape.unet_layers
    if parts[0] in ("conv_norm_out", "conv_out"):
        return f"out.{0 if parts[0] == 'conv_norm_out' else 2}.{parts[1]}"
    if parts[0] == "conv_in":
        return f"input_blocks.0.0.{parts[1]}"
    if parts[0] == "time_embedding":
        return f"time_embed.{0 if parts[1] == 'linear_1' else 2}.{parts[2]}"
    if parts[0] == "mid_block":
        index = {"resnets.0": 0, "attentions.0": 1, "resnets.1": 2}[".".join(parts[1:3])]
        return f"middle_block.{index}.{_inner(parts[1], parts[3:])}"
    level, kind, number = int(parts[1]), parts[2], int(parts[3])
    if parts[0] == "down_blocks":
        block = 1 + level * (layers + 1) + number
        if kind == "downsamplers":
            return f"input_blocks.{1 + level * (layers + 1) + layers}.0.op.{parts[-1]}"
        return f"input_blocks.{block}.{0 if kind == 'resnets' else 1}.{_inner(kind, parts[4:])}"
    has_attention = shape.unet_attention[levels - 1 - level]
    if kind == "upsamplers":
        block = level * (layers + 1) + layers
        return f"output_blocks.{block}.{2 if has_attention else 1}.conv.{parts[-1]}"
    block = level * (layers + 1) + number
    return f"output_blocks.{block}.{0 if kind == 'resnets' else 1}.{_inner(kind, parts[4:])}"


def _inner(kind: str, parts: list[str]) -> str:
    if kind != "resnets":
        return ".".join(parts)
    names = {
        "norm1": "in_layers.0",
        "conv1": "in_layers.2",
        "time_emb_proj": "emb_layers.1",
        "norm2": "out_layers.0",
        "conv2": "out_layers.3",
        "conv_shortcut": "skip_connection",
    }
    return f"{names[parts[0]]}.{parts[1]}"


def _vae_key(key: str, levels: int) -> str:
    """One diffusers VAE key in the original naming."""
    parts = key.split(".")
    if parts[0] in ("quant_conv", "post_quant_conv"):
        return key
    side, block, rest = parts[0], parts[1], parts[2:]
    if block in ("conv_in", "conv_out"):
        return key
    if block == "conv_norm_out":
        return f"{side}.norm_out.{rest[0]}"
    if block == "mid_block":
        if rest[0] == "resnets":
            return f"{side}.mid.block_{int(rest[1]) + 1}.{'.'.join(rest[2:])}"
        names = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out": "proj_out"}
        return f"{side}.mid.attn_1.{names[rest[2]]}.{rest[-1]}"
    level = int(rest[0]) if side == "encoder" else levels - 1 - int(rest[0])
    name = f"{side}.{'down' if side == 'encoder' else 'up'}.{level}"
    if rest[1] == "downsamplers":
        return f"{name}.downsample.conv.{rest[-1]}"
    if rest[1] == "upsamplers":
        return f"{name}.upsample.conv.{rest[-1]}"
    inner = ".".join(rest[3:]).replace("conv_shortcut", "nin_shortcut")
    return f"{name}.block.{rest[2]}.{inner}"


def _with_text_model(key: str) -> str:
    """transformers 5 dropped the `text_model.` prefix that all published files carry."""
    return key if key.startswith("text_model.") else f"text_model.{key}"


def _cast(value: torch.Tensor, dtype: str) -> torch.Tensor:
    import torch

    value = value.contiguous()
    return value.to(getattr(torch, dtype)) if value.is_floating_point() else value


def _json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
