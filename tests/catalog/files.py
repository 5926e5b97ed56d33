"""Write safetensors files by hand, good and bad ones, without torch."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.pickles import hostile

BYTES = {"F16": 2, "F32": 4, "BF16": 2, "I64": 8}


def write_raw(path: Path, header: bytes, data: bytes = b"", length: int | None = None) -> Path:
    """A file with any header bytes; `length` may lie about them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = struct.pack("<Q", len(header) if length is None else length)
    path.write_bytes(size + header + data)
    return path


def write_header(path: Path, header: Any, data: bytes = b"") -> Path:
    """A file whose header is the JSON of `header`."""
    return write_raw(path, json.dumps(header).encode(), data)


def write_tensors(
    path: Path,
    shapes: Mapping[str, Sequence[int]],
    dtype: str = "F16",
    metadata: Mapping[str, str] | None = None,
    fill: int = 0,
) -> Path:
    """A sound file with tensors of these shapes, all bytes equal to `fill`."""
    header: dict[str, Any] = {}
    if metadata is not None:
        header["__metadata__"] = dict(metadata)
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + int(np.prod(shape, dtype=np.int64)) * BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    return write_header(path, header, bytes([fill]) * end)


def sd1_shapes(channels: int = 4) -> dict[str, tuple[int, ...]]:
    """Enough names and shapes of the original layout to be told as Stable Diffusion 1.x."""
    return {
        "model.diffusion_model.input_blocks.0.0.weight": (8, channels, 3, 3),
        "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight": (8, 16),
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": (32, 16),
        "first_stage_model.decoder.conv_in.weight": (8, 4, 3, 3),
    }


def write_torch(path: Path, shapes: Mapping[str, Sequence[int]], nested: bool = True) -> Path:
    """A sound file in torch's zip format with tensors of these shapes, all zero, in float32."""
    entries, data = {}, {}
    for number, (name, shape) in enumerate(shapes.items()):
        count = int(np.prod(shape, dtype=np.int64))
        strides = tuple(int(np.prod(shape[place + 1 :])) for place in range(len(shape)))
        given = hostile.storage(str(number), count)
        entries[name] = hostile.tensor(given, tuple(shape), strides)
        data[str(number)] = bytes(4 * count)
    table = hostile.table(**entries)
    if nested:
        table = hostile.table(state_dict=table[2:-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    return hostile.write_zip(path, table, data)


def write_checkpoint(path: Path, fill: int = 0, channels: int = 4) -> Path:
    """A file that the catalog takes for a Stable Diffusion 1.x checkpoint."""
    return write_tensors(path, sd1_shapes(channels), fill=fill)


def write_folder(path: Path, *, unet_channels: int = 4, text_width: int = 16) -> Path:
    """A diffusers folder that the catalog takes for a Stable Diffusion 1.x model."""
    index = {
        "_class_name": "StableDiffusionPipeline",
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "safety_checker": [None, None],
    }
    configs = {
        "unet": {"_class_name": "UNet2DConditionModel", "in_channels": unet_channels},
        "vae": {"_class_name": "AutoencoderKL"},
        "text_encoder": {"hidden_size": text_width},
    }
    path.mkdir(parents=True, exist_ok=True)
    (path / "model_index.json").write_text(json.dumps(index))
    for name, config in configs.items():
        stem = "model" if name == "text_encoder" else "diffusion_pytorch_model"
        write_tensors(path / name / f"{stem}.safetensors", {f"{name}.weight": (2, 2)})
        (path / name / "config.json").write_text(json.dumps(config))
    return path
