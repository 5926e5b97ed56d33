"""The converter of ncnn's weights: it reads the format by itself and refuses what does not fit."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from modules.engine.weight_files import read_weights
from tools.weights.convert_realesrgan import Network, convert
from tools.weights.ncnn_files import read_layers, read_network

PARAM = """7767517
6 7
Input input.1 0 1 data
Convolution Conv_0 1 1 data 1 0=2 1=3 4=1 5=1 6=54
PReLU PRelu_1 1 1 1 2 0=2
Convolution Conv_2 1 1 2 3 0=3 1=1 5=1 6=6 9=2 -23310=1,2.000000e-01
Eltwise Add_1 2 1 3 data 4 0=1 -23301=2,2.000000e-01,1.000000e+00
Interp Resize 1 1 4 output 0=1 1=4.000000e+00 2=4.000000e+00
"""
HALF = struct.pack("<I", 0x01306B47)


def write(folder: Path, data: bytes, param: str = PARAM) -> Path:
    (folder / "net.param").write_text(param)
    (folder / "net.bin").write_bytes(data)
    return folder


def weights() -> bytes:
    """Half weights of 54 numbers, of 6 in 32 bits, biases and slopes in 32 bits."""
    first = np.arange(54, dtype="<f2") / 8
    parts = [HALF, first.tobytes(), np.array([1, 2], "<f4").tobytes()]
    parts.append(np.array([0.25, 0.5], "<f4").tobytes())
    parts += [bytes(4), np.arange(6, dtype="<f4").tobytes(), np.array([3, 4, 5], "<f4").tobytes()]
    return b"".join(parts)


def test_layers_are_read_with_their_lists_of_numbers() -> None:
    layers = read_layers(PARAM)
    assert [layer.kind for layer in layers] == [
        *("Input", "Convolution", "PReLU", "Convolution", "Eltwise", "Interp")
    ]
    assert layers[3].numbers[10] == (0.2,)
    assert layers[4].inputs == ("3", "data")
    assert layers[4].numbers[1] == (0.2, 1.0)


def test_weights_come_in_the_layers_order_and_in_their_own_precision(tmp_path: Path) -> None:
    _, (first, slopes, last) = read_network(write(tmp_path, weights()), "net")
    assert first.weight.shape == (2, 3, 3, 3)
    assert first.weight.dtype == np.float16
    assert first.weight.reshape(-1)[53] == 53 / 8
    assert first.bias is not None and first.bias.tolist() == [1, 2]
    assert slopes.weight.tolist() == [0.25, 0.5]
    assert last.weight.shape == (3, 2, 1, 1)
    assert last.weight.dtype == np.float32


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-4], "cut short"),
        (lambda data: data + b"more", "left over"),
        (lambda data: b"\1\2\3\4" + data[4:], "unknown form"),
    ],
)
def test_a_damaged_file_is_refused(
    damage: Callable[[bytes], bytes], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        read_network(write(tmp_path, damage(weights())), "net")


def test_a_network_of_another_build_is_refused(tmp_path: Path) -> None:
    write(tmp_path, weights())
    with pytest.raises(ValueError, match="3 convolutions found, 21 expected"):
        convert(Network("net", "out", blocks=1), tmp_path, tmp_path)


def test_the_converted_file_has_every_number_unchanged(tmp_path: Path) -> None:
    path = convert(Network("net", "out", blocks=0), write(tmp_path, weights()), tmp_path)
    tensors = read_weights(path)
    assert set(tensors) == {
        *("body.0.weight", "body.0.bias", "body.1.weight", "body.2.weight", "body.2.bias")
    }
    assert tensors["body.0.weight"].dtype == torch.float16
    assert tensors["body.0.weight"].reshape(-1).tolist() == (np.arange(54) / 8).tolist()
    assert tensors["body.1.weight"].tolist() == [0.25, 0.5]
