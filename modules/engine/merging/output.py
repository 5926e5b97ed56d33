"""Writing a `.safetensors` file piece by piece, so that it is whole under its name or not there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import torch

from modules.engine.checkpoints.tensor_file import DTYPES
from modules.requests.errors import RequestError

ALIGNMENT = 8
SPARE_BYTES = 64 * 1024 * 1024
"""Of disk space that stays free."""


@dataclass(frozen=True)
class Slot:
    """One tensor of a file to be written."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """In bytes."""
        return math.prod(self.shape) * DTYPES[self.dtype].itemsize


class SafetensorsOutput:
    """A file that grows under another name. A context manager: leaving it without `finish`
    removes what was written."""

    def __init__(self, part: Path, slots: Sequence[Slot], metadata: Mapping[str, str]) -> None:
        """`part` is the name until the file is whole; `slots` are written in this order."""
        self._part = part
        self._slots = list(slots)
        self._header = header_bytes(self._slots, metadata)
        self._digest = hashlib.sha256()
        self._stream: BinaryIO | None = None
        self._missing = sum(slot.size for slot in self._slots)
        self.size = len(self._header) + self._missing

    def __enter__(self) -> SafetensorsOutput:
        self._part.parent.mkdir(parents=True, exist_ok=True)
        check_room(self._part.parent, self.size)
        self._stream = self._part.open("wb")
        self._put(self._header)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
            with contextlib.suppress(OSError):
                self._part.unlink()

    def write(self, numbers: torch.Tensor) -> None:
        """Add the next numbers, in the format of their slot."""
        raw = numbers.contiguous().reshape(-1).view(torch.uint8).numpy()
        self._missing -= raw.nbytes
        assert self._missing >= 0, "more numbers than the header names"
        self._put(memoryview(raw))

    def finish(self, target: Path, *, overwrite: bool = False) -> str:
        """Give the file its name; its sha256.

        Raises:
            RequestError: there is a file of that name, and it is not to be overwritten.
        """
        assert self._stream is not None and not self._missing, "numbers are missing"
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        self._stream = None
        try:
            claim(self._part, target, overwrite=overwrite)
        finally:
            with contextlib.suppress(OSError):
                self._part.unlink()
        return self._digest.hexdigest()

    def _put(self, data: bytes | memoryview) -> None:
        assert self._stream is not None
        self._digest.update(data)
        self._stream.write(data)


def header_bytes(slots: Sequence[Slot], metadata: Mapping[str, str]) -> bytes:
    """What a file begins with: the header's length and the header, filled up with blanks."""
    content: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for slot in slots:
        begin, end = end, end + slot.size
        content[slot.name] = {
            "dtype": slot.dtype,
            "shape": list(slot.shape),
            "data_offsets": [begin, end],
        }
    raw = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    raw += b" " * (-len(raw) % ALIGNMENT)
    return len(raw).to_bytes(8, "little") + raw


def check_room(folder: Path, size: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        RequestError: there is too little room.
    """
    free = shutil.disk_usage(folder).free
    if free < size + SPARE_BYTES:
        raise RequestError(
            "custom_name",
            folder.name,
            f"the result needs {size / 1e9:.2f} GB, the disk has {free / 1e9:.2f} GB left.",
        )


def claim(part: Path, target: Path, *, overwrite: bool) -> None:
    """Rename a finished file or folder; without `overwrite` never over another.

    Raises:
        RequestError: the name is taken.
    """
    if overwrite and not target.is_dir():
        os.replace(part, target)
        return
    try:
        if part.is_dir():
            if target.exists():
                raise FileExistsError(errno.EEXIST, "it is there")
            os.rename(part, target)
        else:
            _link(part, target)
    except FileExistsError:
        raise taken(target) from None


def _link(part: Path, target: Path) -> None:
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError, AttributeError):
        # No hard links on this file system: reserve the name, then rename over it.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        os.replace(part, target)


def taken(target: Path) -> RequestError:
    """The name of a result is that of something else."""
    reason = f"there is a {target.name!r} already; choose another name or overwrite it."
    return RequestError("custom_name", target.stem, reason)
