"""What a torch file may hold: plain values, plain containers and tensors that lie in the file."""

from __future__ import annotations

from typing import Any, NamedTuple


class Refused(Exception):  # noqa: N818 - reads as what happened
    """The file is damaged, hostile or no weights file; the text says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StorageType(NamedTuple):
    """The number format of a storage, under the name that safetensors gives it."""

    dtype: str


class Storage(NamedTuple):
    """A block of numbers that a pickle refers to."""

    key: str
    dtype: str
    count: int
    """Of numbers, not bytes."""


class View(NamedTuple):
    """A tensor as a pickle describes it: numbers of a storage; all counts are in numbers."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Inert(NamedTuple):
    """Something that is no weight and is left out: a device, a number of numpy's, a callback."""

    name: str


class Callable_(NamedTuple):  # noqa: N801 - typing has a Callable
    """One of the names that a weights file may use; what it means is in `machine`."""

    module: str
    name: str


class Tensor(NamedTuple):
    """Where a tensor lies: byte positions in the file, `strides` in numbers if not in order."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int
    strides: tuple[int, ...] | None = None


class FileIndex(NamedTuple):
    """Everything that a torch file holds; tensors stand as `Tensor`."""

    content: dict[Any, Any]
    """Values are None, bool, int, float, str, bytes, list, dict and `Tensor`."""
    file_size: int
    modified: int
    """Modification time in nanoseconds."""


BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "I64": 64,
    "U64": 64,
    "F64": 64,
}
"""Bits of one number by the names of safetensors."""

STORAGE_TYPES = {
    "FloatStorage": "F32",
    "DoubleStorage": "F64",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
    "UntypedStorage": "U8",
}

DTYPES = {
    "float32": "F32",
    "float": "F32",
    "float64": "F64",
    "double": "F64",
    "float16": "F16",
    "half": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "int64": "I64",
    "long": "I64",
    "int32": "I32",
    "int": "I32",
    "int16": "I16",
    "short": "I16",
    "int8": "I8",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "bool": "BOOL",
}
"""torch's names of number formats."""


def shown(text: str, limit: int = 80) -> str:
    """Text from a file that is safe to show: one line, printable, of limited length."""
    clean = "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: limit + 1]
    )
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
