"""Quantised files of tiny models, and the plain files of the numbers that they stand for."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from modules.catalog.gguf import BLOCKS
from tests.support.tiny_dit import Made, original_transformer, write_part

PARTS = {"flux": ("clip_l", "t5"), "sd3": ("clip_l", "clip_g", "t5")}


def write_gguf(
    path: Path, state: dict[str, torch.Tensor], kind: str = "Q8_0"
) -> dict[str, torch.Tensor]:
    """Write a state as GGUF, wide matrices in blocks; returns the values that it stands for."""
    import gguf

    form = gguf.GGMLQuantizationType[kind]
    writer = gguf.GGUFWriter(str(path), "tiny")
    stands: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        array = value.detach().float().numpy()
        if array.ndim == 2 and array.shape[-1] % BLOCKS[kind].numbers == 0:
            packed = gguf.quants.quantize(array, form)
            writer.add_tensor(name, packed, raw_dtype=form)
            stands[name] = torch.from_numpy(gguf.quants.dequantize(packed, form))
        else:
            writer.add_tensor(name, array)
            stands[name] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return stands


def parts_beside(folder: Path, model: Made, names: tuple[str, ...]) -> None:
    """Text encoders and the VAE in their folders."""
    for name in names:
        write_part(folder / "text_encoder" / f"{name}.safetensors", model, name)
    write_part(folder / "VAE" / "ae.safetensors", model, "vae")


def quantised_and_plain(folder: Path, model: Made, kind: str) -> tuple[Path, Path]:
    """The same model twice: in blocks, and in full with the numbers that these stand for."""
    parts_beside(folder, model, PARTS[model.kind.family])
    file = folder / "Stable-diffusion" / "model.gguf"
    file.parent.mkdir(exist_ok=True)
    stands = write_gguf(file, original_transformer(model), kind)
    plain = file.with_name("plain.safetensors")
    save_file({name: value.contiguous() for name, value in stands.items()}, str(plain))
    return file, plain
