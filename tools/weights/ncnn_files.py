"""Read a network of ncnn: the text of its layers (`.param`) and their weights (`.bin`).

Formats: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MAGIC = "7767517"
HALF_PRECISION = 0x01306B47
"""The flag before weights that are stored as float16; 0 stands for float32."""
ARRAY = -23300
"""A key k below this holds a list; the parameter's number is ARRAY - k."""


@dataclass(frozen=True)
class Layer:
    """One line of a `.param` file."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: dict[int, float | tuple[float, ...]]

    def whole(self, key: int, default: int = 0) -> int:
        """The parameter `key` as a whole number."""
        value = self.numbers.get(key, default)
        assert not isinstance(value, tuple)
        return int(value)


@dataclass(frozen=True)
class Weights:
    """What a layer keeps in the `.bin` file."""

    layer: Layer
    weight: np.ndarray
    """Convolution: [out, in, height, width] float16 or float32; PReLU: [channels] float32."""
    bias: np.ndarray | None


def read_layers(text: str) -> list[Layer]:
    """The layers of a `.param` file, in order.

    Raises:
        ValueError: the text is not an ncnn network.
    """
    magic, _, *lines = text.strip().splitlines()
    if magic.strip() != MAGIC:
        raise ValueError("this is not an ncnn .param file")
    return [_layer(line.split()) for line in lines]


def _layer(words: list[str]) -> Layer:
    kind, name, count_in, count_out, *rest = words
    inputs, outputs = int(count_in), int(count_out)
    numbers: dict[int, float | tuple[float, ...]] = {}
    for word in rest[inputs + outputs :]:
        key, value = word.split("=")
        if int(key) <= ARRAY:
            numbers[ARRAY - int(key)] = tuple(float(part) for part in value.split(",")[1:])
        else:
            numbers[int(key)] = float(value)
    return Layer(
        kind,
        name,
        tuple(rest[:inputs]),
        tuple(rest[inputs : inputs + outputs]),
        numbers,
    )


def read_weights(layers: list[Layer], data: bytes) -> Iterator[Weights]:
    """The weights of all layers that have any, in the order of the layers.

    Raises:
        ValueError: bytes are missing or left over, or stored in a form that is not known.
    """
    reader = _Reader(data)
    for layer in layers:
        if layer.kind == "Convolution":
            yield _convolution(layer, reader)
        elif layer.kind == "PReLU":
            yield Weights(layer, reader.floats(layer.whole(0)), None)
    if reader.left:
        raise ValueError(f"{reader.left} bytes are left over")


def _convolution(layer: Layer, reader: _Reader) -> Weights:
    out_channels, size, total = layer.whole(0), layer.whole(1), layer.whole(6)
    flat = reader.flagged(total)
    in_channels = total // (out_channels * size * size)
    weight = flat.reshape(out_channels, in_channels, size, size)
    bias = reader.floats(out_channels) if layer.whole(5) else None
    return Weights(layer, weight, bias)


class _Reader:
    """Takes numbers off the front of the bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def floats(self, count: int) -> np.ndarray:
        return self._take(count, "<f4")

    def flagged(self, count: int) -> np.ndarray:
        """Weights behind a flag that tells their format; float16 is padded to four bytes."""
        flag = int(self._take(1, "<u4")[0])
        if flag == 0:
            return self.floats(count)
        if flag != HALF_PRECISION:
            raise ValueError(f"weights are stored in the unknown form {flag:#x}")
        values = self._take(count, "<f2")
        self._at += -(count * 2) % 4
        return values

    def _take(self, count: int, dtype: str) -> np.ndarray:
        size = count * np.dtype(dtype).itemsize
        if self.left < size:
            raise ValueError("the .bin file is cut short")
        values = np.frombuffer(self._data, dtype, count, self._at)
        self._at += size
        return values


def read_network(folder: Path, name: str) -> tuple[list[Layer], list[Weights]]:
    """Layers and weights of `name`.param and `name`.bin in a folder.

    Raises:
        ValueError: the files are damaged.
        OSError: a file cannot be read.
    """
    layers = read_layers((folder / f"{name}.param").read_text(encoding="ascii"))
    return layers, list(read_weights(layers, (folder / f"{name}.bin").read_bytes()))
