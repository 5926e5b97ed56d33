"""Turn the face detector's weights of the wheel facenet-pytorch into one safetensors file.

    pip download --no-deps facenet-pytorch==2.6.0
    python -m tools.weights.convert_mtcnn facenet_pytorch-2.6.0-py3-none-any.whl

The wheel (MIT licence) holds the three networks of MTCNN in PyTorch's format. Every number is kept
as it is. The networks came from Caffe, which lays pictures out as width, height, channels where a
fully connected layer begins; those two matrices get their columns reordered, so that our networks
need no such detour.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from modules.engine.weight_files import read_weights

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "models" / "FaceDetection" / "mtcnn.safetensors"
INSIDE = "facenet_pytorch/data"
FROM_PICTURES = {"rnet.dense4.weight": (64, 3), "onet.dense5.weight": (128, 3)}
"""Matrices behind a picture of so many channels and such a side."""


def main(arguments: list[str]) -> int:
    """Convert one wheel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--into", type=Path, default=TARGET)
    asked = parser.parse_args(arguments)
    asked.into.parent.mkdir(parents=True, exist_ok=True)
    notice = {"origin": "facenet-pytorch 2.6.0", "licence": "MIT", "architecture": "MTCNN"}
    save_file(converted(asked.wheel), asked.into, notice)
    sys.stdout.write(f"{asked.into} ({asked.into.stat().st_size} bytes)\n")
    return 0


def converted(wheel: Path) -> dict[str, torch.Tensor]:
    """All tensors of the three networks, named ``pnet.``, ``rnet.`` and ``onet.``."""
    tensors: dict[str, torch.Tensor] = {}
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        for network in ("pnet", "rnet", "onet"):
            path = Path(folder) / f"{network}.pt"
            path.write_bytes(archive.read(f"{INSIDE}/{network}.pt"))
            for name, tensor in read_weights(path).items():
                tensors[f"{network}.{name}"] = tensor.float().contiguous()
    for name, (channels, side) in FROM_PICTURES.items():
        tensors[name] = _channels_first(tensors[name], channels, side)
    return tensors


def _channels_first(matrix: torch.Tensor, channels: int, side: int) -> torch.Tensor:
    """Columns in the order channels, height, width instead of width, height, channels."""
    rows = matrix.shape[0]
    pictures = matrix.reshape(rows, side, side, channels)
    return pictures.permute(0, 3, 2, 1).reshape(rows, -1).contiguous()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
