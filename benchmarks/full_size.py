"""Single checkpoint files of Stable Diffusion's exact shapes with random weights in fp16.

They have the original layout, as models are shared: SD 1.5 with 2.13 GB, SDXL with 6.94 GB. Names
and shapes come from networks without memory, so that a file takes seconds and hardly more memory
than one tensor.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.plan import ROOT

if TYPE_CHECKING:
    import torch

POOL = 16 * 1024 * 1024
"""Random numbers that all weights are cut from."""


def provide_single(path: Path, seed: int, family: str = "sd15") -> None:
    """Write the file of a family, "sd15" or "sdxl"; the same seed gives the same weights."""
    state = _sdxl_names() if family == "sdxl" else _sd15_names()
    path.parent.mkdir(parents=True, exist_ok=True)
    header, position = {}, 0
    for name, weight in state.items():
        size = weight.numel() * (8 if _is_row_of_positions(name) else 2)
        kind = "I64" if _is_row_of_positions(name) else "F16"
        header[name] = {
            "dtype": kind,
            "shape": list(weight.shape),
            "data_offsets": [position, position + size],
        }
        position += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for piece in _weights(state, seed):
            file.write(piece)


def provide_config(folder: Path) -> Path:
    """The configurations and the tokenizer that `from_single_file` needs to work offline."""
    import shutil

    shutil.copytree(ROOT / "configs" / "sd15", folder, dirs_exist_ok=True)
    shutil.copytree(ROOT / "configs" / "tokenizers" / "clip", folder / "tokenizer")
    index = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.42.1",
        "feature_extractor": [None, None],
        "safety_checker": [None, None],
        "requires_safety_checker": False,
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def _sd15_names() -> dict[str, torch.Tensor]:
    """Every tensor of the original layout, without memory."""
    import torch

    from tests.support.tiny_models import TinyShape, original_layout, tiny_components

    shape = TinyShape(
        unet_channels=(320, 640, 1280, 1280),
        unet_attention=(True, True, True, False),
        unet_layers=2,
        text_width=768,
        text_layers=12,
        text_heads=12,
        vae_channels=(128, 256, 512, 512),
        vae_layers=2,
    )
    with torch.device("meta"):
        return original_layout(tiny_components(shape=shape))


def _sdxl_names() -> dict[str, torch.Tensor]:
    """Every tensor of SDXL's base in the original layout, without memory."""
    import torch

    from tests.support.tiny_families import TinyFamily, TinyText, make, original
    from tests.support.tiny_models import TinyShape

    class FullText(TinyText):
        def config(self) -> dict[str, object]:
            return {**super().config(), "intermediate_size": 4 * self.width}

    shape = TinyShape(
        unet_channels=(320, 640, 1280),
        unet_attention=(False, True, True),
        unet_layers=2,
        linear_projection=True,
        text_width=2048,
        vae_channels=(128, 256, 512, 512),
        vae_layers=2,
        scaling_factor=0.13025,
    )
    sizes = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
        "attention_head_dim": [5, 10, 20],
        "transformer_layers_per_block": [1, 2, 10],
        "sample_size": 128,
    }
    texts = {
        "text_encoder": FullText(768, 12, "quick_gelu"),
        "text_encoder_2": FullText(1280, 32, projection=1280),
    }
    with torch.device("meta"):
        return original(make(TinyFamily("StableDiffusionXLPipeline", texts, sizes, shape)))


def _weights(state: dict[str, torch.Tensor], seed: int) -> Iterator[memoryview]:
    import torch

    generator = torch.Generator().manual_seed(seed)
    pool = (0.02 * torch.randn(POOL, generator=generator)).half()
    start = 0
    for name, weight in state.items():
        if _is_row_of_positions(name):
            yield memoryview(torch.arange(weight.numel()).numpy()).cast("B")
            continue
        left = weight.numel()
        while left:
            count = min(left, POOL - start)
            yield memoryview(pool[start : start + count].numpy()).cast("B")
            left -= count
            start = (start + count) % POOL


def _is_row_of_positions(name: str) -> bool:
    return name.endswith("position_ids")
