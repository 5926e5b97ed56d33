"""Has strangers' pictures decoded by processes of their own, which are limited and can be lost.

A picture that crashes a decoder, or needs more memory or time than its size explains, ends that
process and is refused; ours goes on.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import PIL
from PIL import Image

from modules.imaging import decoding
from modules.imaging.sizes import claimed_size, format_of

MAX_PROCESSES = 4
"""Pictures that are decoded at the same time; more wait."""
IDLE_SECONDS = 60.0
"""How long a process waits for the next picture before it is ended."""
PATIENCE = 60.0
PATIENCE_A_MEGAPIXEL = 2.0
"""Seconds of real time, on a machine that is busy with other things."""
MAX_ANSWER = 8 * 1024 * 1024
LARGE_PIXELS = 8e6
"""After such a picture a process is not used again: its heap is not what it was."""
_BANDS = {"L": 1, "RGB": 3, "RGBA": 4}
_SCRIPT = Path(decoding.__file__).resolve()
_PILLOW = Path(PIL.__file__).resolve().parents[1]


class UnreadablePicture(Exception):  # noqa: N818 - reads as what happened
    """A picture that is not decoded.

    ``reason`` is ``format`` (none of ours), ``size``, ``damaged``, ``memory`` (more memory or time
    than a picture of its size needs) or ``system`` (no process could be started).
    """

    def __init__(self, reason: str, width: int = 0, height: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.width = width
        self.height = height


@dataclass(frozen=True)
class Bounds:
    """How large a picture may be."""

    pixels: float
    side: int = 1 << 30


@dataclass(frozen=True)
class Decoded:
    """A picture as RGB, RGBA or L; ``pixels`` are its rows, or nothing where only asked about."""

    format: str
    width: int
    height: int
    mode: str
    frames: int
    pixels: bytes | bytearray = b""

    def image(self) -> Image.Image:
        """The picture itself."""
        return Image.frombytes(self.mode, (self.width, self.height), self.pixels)


@dataclass(frozen=True)
class Described:
    """What a file says; its pixels were not decoded. ``width`` and ``height`` are as stored."""

    format: str
    width: int
    height: int
    texts: dict[str, str] = field(default_factory=dict)
    """All but PNG's text chunks."""
    exif: bytes = b""


def decode(data: bytes, bounds: Bounds, *, upright: bool = True, pixels: bool = True) -> Decoded:
    """The first frame of a picture file, in one of three modes.

    Raises:
        UnreadablePicture: it is none, damaged, or larger than the bounds.
    """
    _check_claim(data, bounds)
    asked = {
        "want": "pixels" if pixels else "facts",
        "upright": upright,
        "max_pixels": bounds.pixels,
        "max_side": bounds.side,
    }
    told, raw = _ask(asked, data, bounds.pixels)
    picture = Decoded(
        str(told["format"]),
        int(told["width"]),
        int(told["height"]),
        str(told["mode"]),
        int(told["frames"]),
        raw,
    )
    # The process has handled hostile bytes: what it tells is measured again.
    size = picture.width * picture.height
    if picture.mode not in _BANDS or not 0 < size <= bounds.pixels:
        raise UnreadablePicture("damaged")
    if len(raw) != (size * _BANDS[picture.mode] if pixels else 0):
        raise UnreadablePicture("damaged")
    return picture


def describe(data: bytes) -> Described:
    """What a picture file says about itself.

    Raises:
        UnreadablePicture: it is no picture.
    """
    if not format_of(data):
        raise UnreadablePicture("format")
    told, _ = _ask({"want": "texts"}, data, 0)
    texts = {str(key): str(value) for key, value in dict(told["texts"]).items()}
    return Described(
        str(told["format"]),
        int(told["width"]),
        int(told["height"]),
        texts,
        base64.b64decode(told["exif"]),
    )


def _check_claim(data: bytes, bounds: Bounds) -> None:
    """Refuse by the file's own header what is too large, before any process hears of it."""
    if not format_of(data):
        raise UnreadablePicture("format")
    width, height = claimed_size(data) or (0, 0)
    if width * height > bounds.pixels or max(width, height) > bounds.side:
        raise UnreadablePicture("size", width, height)


def _ask(asked: dict[str, Any], data: bytes, pixels: float) -> tuple[dict[str, Any], bytes]:
    patience = PATIENCE + PATIENCE_A_MEGAPIXEL * min(pixels, 1e9) / 1e6
    try:
        told, raw = _POOL.ask(asked, data, patience)
        error = told.get("error")
        if error:
            raise UnreadablePicture(
                str(error), int(told.get("width", 0)), int(told.get("height", 0))
            )
        return told, raw
    except (KeyError, TypeError, ValueError):
        raise UnreadablePicture("damaged") from None
    except OSError:
        raise UnreadablePicture("system") from None


class _Lost(Exception):  # noqa: N818
    """The process ended before it had answered."""


class Decoder:
    """One such process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SCRIPT), str(_PILLOW)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def ask(self, asked: dict[str, Any], data: bytes, patience: float) -> tuple[Any, bytes]:
        """Its answer.

        Raises:
            _Lost: there is none, or one that is no answer. The process is of no use any more.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        alarm = threading.Timer(patience, self._process.kill)
        alarm.daemon = True
        alarm.start()
        try:
            question = json.dumps(asked).encode("ascii")
            stdin.write(decoding.HEAD.pack(len(question), len(data)) + question)
            stdin.write(data)
            stdin.flush()
            length, size = decoding.HEAD.unpack(_exactly(stdout, decoding.HEAD.size))
            if length > MAX_ANSWER or size > 4 * max(asked.get("max_pixels", 0), 0):
                raise _Lost
            told = json.loads(_exactly(stdout, length))
            if not isinstance(told, dict):
                raise _Lost
            return told, _exactly(stdout, size)
        except (OSError, ValueError, RecursionError) as error:
            raise _Lost from error
        finally:
            alarm.cancel()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.wait()


class Pool:
    """As many processes as there are pictures at the same time; idle ones end."""

    def __init__(self) -> None:
        self._places = threading.Semaphore(min(MAX_PROCESSES, os.cpu_count() or 1))
        self._lock = threading.Lock()
        self._idle: list[Decoder] = []
        self._rest: threading.Timer | None = None

    def ask(
        self, asked: dict[str, Any], data: bytes, patience: float
    ) -> tuple[dict[str, Any], bytes]:
        """A process's answer; its death is an answer too.

        Raises:
            OSError: no process could be started.
        """
        with self._places:
            decoder = self._taken()
            try:
                told, raw = decoder.ask(asked, data, patience)
            except _Lost:
                decoder.close()
                return {"error": "memory"}, b""
            except MemoryError:  # ours: not the picture's fault
                decoder.close()
                raise OSError("no memory") from None
            if told.get("error") == "memory" or _pixels(told) > LARGE_PIXELS:
                decoder.close()
            else:
                self._give_back(decoder)
            return told, raw

    def close(self) -> None:
        """End those that have nothing to do."""
        with self._lock:
            idle, self._idle = self._idle, []
        for decoder in idle:
            decoder.close()

    def _taken(self) -> Decoder:
        with self._lock:
            if self._rest is not None:
                self._rest.cancel()
            while self._idle:
                decoder = self._idle.pop()
                if decoder.alive:
                    return decoder
                decoder.close()
        return Decoder()

    def _give_back(self, decoder: Decoder) -> None:
        with self._lock:
            self._idle.append(decoder)
            if self._rest is not None:
                self._rest.cancel()
            self._rest = threading.Timer(IDLE_SECONDS, self.close)
            self._rest.daemon = True
            self._rest.start()


def _pixels(told: dict[str, Any]) -> int:
    width, height = told.get("width"), told.get("height")
    return width * height if isinstance(width, int) and isinstance(height, int) else 0


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise _Lost
    return data


def _environment() -> dict[str, str]:
    """Nothing of ours: the process needs no keys, proxies or paths."""
    kept = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return {**found, "MALLOC_ARENA_MAX": "1", "PYTHONDONTWRITEBYTECODE": "1"}


_POOL = Pool()
atexit.register(_POOL.close)
