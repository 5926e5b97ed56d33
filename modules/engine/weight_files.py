"""Read a network's weights from a stranger's file without ever running what is in it.

The kind is told by content, not by name: safetensors, torch's zip format and torch's older format.
The last two hold a pickle. Ours is opened by a reader that knows the dozen names that a state dict
needs and refuses every other, so that a pickle can build dictionaries and name tensors and nothing
else; torch's own loader is never called. Sizes are checked before memory is taken.
"""

from __future__ import annotations

import collections
import io
import math
import pickle
import re
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from modules.catalog.errors import UnreadableModelError, shown
from modules.catalog.header import open_regular
from modules.engine.checkpoints.tensor_file import TensorFile

MAX_PICKLE_BYTES = 8 * 1024 * 1024
"""A state dict of 10,000 tensors has about 1 MB of pickle."""
MAX_ENTRIES = 100_000
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001

STORAGES: Mapping[str, torch.dtype] = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_DATA = re.compile(r"^(?P<root>[^/]+)/data\.pkl$")


def read_weights(path: Path) -> dict[str, Any]:
    """Everything a weights file holds, as nested dictionaries; tensors are on the CPU.

    Raises:
        UnreadableModelError: the file is missing, damaged, hostile, or of no known format.
    """
    try:
        with open_regular(path) as stream:
            start = stream.read(16)
            stream.seek(0)
            if start[:4] == b"PK\x03\x04":
                return _ZipReader(path, stream).read()
            if len(start) > 8 and start[8:9] == b"{":
                return _read_safetensors(path)
            return _LegacyReader(path, stream).read()
    except OSError as error:
        raise UnreadableModelError(path, f"cannot be read ({error.strerror or error})") from error


def state_dict_of(content: Mapping[str, Any], *names: str) -> dict[str, torch.Tensor]:
    """The tensors among ``content``, or among the first of its entries ``names`` that is there.

    Training programs put a network under a name ("params_ema", "params", "state_dict").
    """
    inner = next((content[n] for n in names if isinstance(content.get(n), Mapping)), content)
    return {
        str(name).removeprefix("module."): value
        for name, value in inner.items()
        if isinstance(value, torch.Tensor)
    }


def _read_safetensors(path: Path) -> dict[str, Any]:
    with TensorFile.open(path) as file:
        return {name: file.get(name) for name in file.header}


@dataclass(frozen=True)
class _Storage:
    """A block of numbers that a pickle refers to."""

    key: str
    dtype: torch.dtype
    count: int


@dataclass(frozen=True)
class _StorageType:
    dtype: torch.dtype


@dataclass
class _Named:
    """A tensor that a pickle describes; its numbers are read afterwards."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _StateUnpickler(pickle.Unpickler):
    """Knows what a state dict is made of, and nothing else."""

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        super().__init__(stream, encoding="utf-8")
        self._path = path
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGES:
            return _StorageType(STORAGES[name])
        known = _KNOWN.get((module, name))
        if known is None:
            reason = f"asks for {shown(f'{module}.{name}', 80)}, which no weights need; not opened"
            raise UnreadableModelError(self._path, reason)
        return known

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, _place, count = tuple(pid)[:5]
        view = tuple(pid)[5] if len(pid) > 5 else None
        if kind != "storage" or not isinstance(storage_type, _StorageType) or view is not None:
            raise ValueError("a tensor's storage is described in an unknown way")
        if type(count) is not int or count < 0 or len(self.storages) > MAX_ENTRIES:
            raise ValueError("a tensor's storage has an impossible size")
        storage = _Storage(str(key), storage_type.dtype, count)
        if self.storages.setdefault(storage.key, storage) != storage:
            raise ValueError("a tensor's storage is described twice")
        return storage


def _rebuild(storage: Any, offset: Any, size: Any, stride: Any, *_rest: Any) -> _Named:
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor without a storage")
    return _Named(storage, offset, tuple(size), tuple(stride))


def _parameter(data: Any, *_rest: Any) -> Any:
    return data


_KNOWN: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch._utils", "_rebuild_tensor"): _rebuild,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch", "Size"): tuple,
}


class _Reader:
    """What the two pickled formats have in common."""

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self._path = path
        self._stream = stream

    def read(self) -> dict[str, Any]:
        try:
            content, data = self._opened()
            if not isinstance(content, Mapping):
                raise ValueError("there is no state dict in it")
            return _with_tensors(content, data)
        except UnreadableModelError:
            raise
        except (MemoryError, RecursionError) as error:
            raise UnreadableModelError(self._path, "is too large or too deep") from error
        except Exception as error:  # a hostile pickle may raise anything
            reason = f"is not a sound weights file ({shown(str(error) or type(error).__name__)})"
            raise UnreadableModelError(self._path, reason) from error

    def _opened(self) -> tuple[Any, dict[str, torch.Tensor]]:
        raise NotImplementedError

    def _unpickled(self, stream: IO[bytes]) -> tuple[Any, dict[str, _Storage]]:
        unpickler = _StateUnpickler(self._path, stream)
        return unpickler.load(), unpickler.storages


class _ZipReader(_Reader):
    """torch's format since 1.6: a zip of stored entries, one of them the pickle."""

    def _opened(self) -> tuple[Any, dict[str, torch.Tensor]]:
        with zipfile.ZipFile(self._stream) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            self._check(entries)
            root = next(m["root"] for m in map(_DATA.match, entries) if m)
            if entries[f"{root}/data.pkl"].file_size > MAX_PICKLE_BYTES:
                raise ValueError("its table of contents is too long")
            pickled = io.BytesIO(archive.read(f"{root}/data.pkl"))
            content, storages = self._unpickled(pickled)
            data = {}
            for key, storage in storages.items():
                entry = entries[f"{root}/data/{key}"]
                if entry.file_size != storage.count * storage.dtype.itemsize:
                    raise ValueError("a tensor's bytes are missing")
                data[key] = _numbers(bytearray(archive.read(entry)), storage)
            return content, data

    def _check(self, entries: Mapping[str, zipfile.ZipInfo]) -> None:
        if len(entries) > MAX_ENTRIES:
            raise ValueError("it has too many entries")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
            raise ValueError("its entries are compressed, which torch never does")
        if sum(entry.file_size for entry in entries.values()) > self._path.stat().st_size:
            raise ValueError("its entries overlap")
        if not any(map(_DATA.match, entries)):
            raise ValueError("it is a zip archive of something else")


class _LegacyReader(_Reader):
    """torch's format before 1.6: five pickles, then the storages in order."""

    def _opened(self) -> tuple[Any, dict[str, torch.Tensor]]:
        self._size = self._path.stat().st_size
        if self._next() != LEGACY_MAGIC or self._next() != LEGACY_PROTOCOL:
            raise ValueError("its format is not known")
        if self._next().get("little_endian") is not True:
            raise ValueError("its numbers are in another byte order")
        content, storages = self._unpickled(self._stream)
        if sum(s.count * s.dtype.itemsize for s in storages.values()) > self._size:
            raise ValueError("it names more numbers than it holds")
        order = self._next()
        if sorted(map(str, order)) != sorted(storages):
            raise ValueError("its list of storages is wrong")
        return content, {str(key): self._storage(storages[str(key)]) for key in order}

    def _next(self) -> Any:
        return self._unpickled(self._stream)[0]

    def _storage(self, storage: _Storage) -> torch.Tensor:
        count = int.from_bytes(self._stream.read(8), "little")
        raw = bytearray(self._stream.read(storage.count * storage.dtype.itemsize))
        if count != storage.count or len(raw) != storage.count * storage.dtype.itemsize:
            raise ValueError("a tensor's bytes are missing")
        return _numbers(raw, storage)


def _numbers(raw: bytearray, storage: _Storage) -> torch.Tensor:
    if not raw:
        return torch.empty(0, dtype=storage.dtype)
    if sys.byteorder != "little":
        raise ValueError("weights cannot be read on a big-endian processor")
    return torch.frombuffer(raw, dtype=storage.dtype)


def _with_tensors(value: Any, data: Mapping[str, torch.Tensor], depth: int = 0) -> Any:
    """``value`` with every named tensor replaced by the tensor."""
    if depth > 16:
        raise ValueError("it is nested too deeply")
    if isinstance(value, _Named):
        return _tensor(value, data[value.storage.key])
    if isinstance(value, Mapping):
        return {key: _with_tensors(item, data, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_tensors(item, data, depth + 1) for item in value]
    return value


def _tensor(named: _Named, numbers: torch.Tensor) -> torch.Tensor:
    counts = (named.offset, *named.size, *named.stride)
    if len(named.size) != len(named.stride) or any(type(c) is not int or c < 0 for c in counts):
        raise ValueError("a tensor has an impossible shape")
    if math.prod(named.size) == 0:
        return torch.empty(named.size, dtype=numbers.dtype)
    pairs = zip(named.size, named.stride, strict=True)
    last = named.offset + sum((size - 1) * stride for size, stride in pairs)
    if last >= numbers.numel() or math.prod(named.size) > numbers.numel():
        raise ValueError("a tensor claims more numbers than it has")
    return torch.as_strided(numbers, named.size, named.stride, named.offset).contiguous()
