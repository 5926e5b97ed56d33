"""Files that a stranger might send: each in torch's zip format, in its older one, or neither."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}

HEAD = b"\x80\x02"
STORAGE = b"X\x07\x00\x00\x00storage"


def write_zip(path: Path, table: bytes, data: dict[str, bytes] | None = None, **more: Any) -> Path:
    """torch's zip format around a pickle that is given as it is."""
    with zipfile.ZipFile(path, "w", **more) as archive:
        archive.writestr("archive/data.pkl", table)
        archive.writestr("archive/version", b"3\n")
        for key, content in (data or {}).items():
            archive.writestr(f"archive/data/{key}", content)
    return path


def write_legacy(
    path: Path, table: bytes, keys: tuple[str, ...] = (), data: tuple[tuple[int, bytes], ...] = ()
) -> Path:
    """torch's older format around a pickle that is given as it is."""
    parts = [pickle.dumps(value, protocol=2) for value in (MAGIC, PROTOCOL, SYSTEM)]
    parts += [table, pickle.dumps(list(keys), protocol=2)]
    parts += [struct.pack("<q", count) + content for count, content in data]
    path.write_bytes(b"".join(parts))
    return path


def text(value: str) -> bytes:
    """An instruction that pushes text."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    """An instruction that pushes a number."""
    raw = value.to_bytes(max(1, value.bit_length() // 8 + 1), "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def name(module: str, attribute: str) -> bytes:
    """An instruction that looks a name up."""
    return f"c{module}\n{attribute}\n".encode()


def storage(key: str, count: int, kind: str = "FloatStorage", word: str = "storage") -> bytes:
    """Instructions that push a storage by its persistent id."""
    return b"(" + text(word) + name("torch", kind) + text(key) + text("cpu") + number(count) + b"tQ"


def numbers(values: tuple[int, ...]) -> bytes:
    """Instructions that push a tuple of numbers."""
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(
    given: bytes, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0
) -> bytes:
    """Instructions that push a tensor of a storage."""
    return (
        name("torch._utils", "_rebuild_tensor_v2")
        + b"("
        + given
        + number(offset)
        + numbers(shape)
        + numbers(strides)
        + b"\x89}tR"
    )


def table(**entries: bytes) -> bytes:
    """A pickle of a dictionary whose values are instructions."""
    body = b"".join(text(key) + value for key, value in entries.items())
    return HEAD + b"}(" + body + b"u."


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._parts = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._parts


def calling(function: Callable[..., Any], *arguments: Any) -> bytes:
    """A pickle of a state dict in which a call is hidden."""
    return pickle.dumps({"state_dict": {"a": Calls(function, *arguments)}}, protocol=2)


def system_call(mark: Path) -> bytes:
    """What every such file tries first; `mark` appears when it worked."""
    return calling(os.system, f"touch {mark}")


def nested_zip(inner: bytes) -> bytes:
    """A zip inside a zip, as bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", inner)
    return packed.getvalue()


def sharing_lists(depth: int) -> bytes:
    """A list of two of the same list of two of the same: small as a file, 2^depth when walked."""
    body = b"](]q\x00"
    for level in range(depth):
        place = bytes([level])
        body += b"](h" + place + b"h" + place + b"eq" + bytes([level + 1])
    return table(a=body + b"e")
