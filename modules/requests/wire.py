"""Frames between the server and an engine process: a length, a JSON object, then raw blobs.

    | 4 bytes, big endian | JSON object, UTF-8 | blob 1 | blob 2 | ...

The JSON object's key ``blobs`` lists the sizes of the blobs that follow it; it is left out when
there are none. Nothing here pickles, so neither side can make the other run code.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Sequence
from typing import BinaryIO

MAX_JSON_BYTES = 64 * 1024 * 1024
"""A job with 10,000 long prompts is far below this; anything above it is not one of our frames."""

MAX_BLOB_BYTES = 2 * 1024 * 1024 * 1024
"""One image of 16 megapixels takes 48 MB; this leaves room for the largest upscale."""

MAX_BLOBS = 256

_LENGTH = struct.Struct(">I")


class WireError(RuntimeError):
    """The bytes on the pipe are not a frame: the other side is broken or not ours."""


class FrameWriter:
    """Writes whole frames to a binary stream from any thread."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: dict[str, object], blobs: Sequence[bytes] = ()) -> None:
        """Write one frame and flush it.

        Raises:
            OSError, ValueError: the pipe is closed.
        """
        head = pack(message, blobs)
        with self._lock:
            self._stream.write(head)
            for blob in blobs:
                self._stream.write(blob)
            self._stream.flush()


def pack(message: dict[str, object], blobs: Sequence[bytes] = ()) -> bytes:
    """The length and JSON part of a frame; the blobs follow it on the pipe as they are."""
    if blobs:
        message = {**message, "blobs": [len(blob) for blob in blobs]}
    # ASCII escapes carry the half characters that file names on Linux may hold.
    data = json.dumps(message, allow_nan=False, separators=(",", ":")).encode("ascii")
    if len(data) > MAX_JSON_BYTES:
        raise WireError(f"A message of {len(data)} bytes is over the limit of {MAX_JSON_BYTES}.")
    return _LENGTH.pack(len(data)) + data


def read_frame(stream: BinaryIO) -> tuple[dict[str, object], list[bytes]] | None:
    """Read one frame; None at a clean end of the stream.

    Raises:
        WireError: the stream ends inside a frame, or its sizes or JSON make no sense.
    """
    head = _read(stream, _LENGTH.size, at_start=True)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > MAX_JSON_BYTES:
        raise WireError(f"A frame announces {length} bytes of JSON, over {MAX_JSON_BYTES}.")
    try:
        message = json.loads(_read_all(stream, length))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise WireError(f"A frame does not hold JSON: {error}") from error
    if not isinstance(message, dict):
        raise WireError("A frame does not hold a JSON object.")
    return message, [_read_all(stream, size) for size in _blob_sizes(message)]


def _blob_sizes(message: dict[str, object]) -> list[int]:
    sizes = message.pop("blobs", [])
    if not isinstance(sizes, list) or len(sizes) > MAX_BLOBS:
        raise WireError("A frame's list of blobs is not a short list.")
    for size in sizes:
        if type(size) is not int or not 0 <= size <= MAX_BLOB_BYTES:
            raise WireError(f"A frame announces a blob of {size!r} bytes.")
    return sizes


def _read_all(stream: BinaryIO, size: int) -> bytes:
    return _read(stream, size, at_start=False) or b""


def _read(stream: BinaryIO, size: int, *, at_start: bool) -> bytes | None:
    """Exactly ``size`` bytes; None when the stream is at its end and no frame has begun."""
    parts: list[bytes] = []
    missing = size
    while missing:
        part = stream.read(missing)
        if not part:
            if at_start and missing == size:
                return None
            raise WireError(f"The stream ended with {missing} of {size} bytes missing.")
        parts.append(part)
        missing -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
