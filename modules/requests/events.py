"""What the engine says while it works, as frozen data classes; they travel as JSON plus blobs."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar


@dataclass(frozen=True)
class Event:
    """Base of all events. Fields of type ``bytes`` travel as blobs behind the JSON object."""

    kind: ClassVar[str] = ""

    def to_wire(self) -> tuple[dict[str, Any], list[bytes]]:
        """``(header, blobs)``; the header holds ``ev`` and all fields that are not bytes."""
        header: dict[str, Any] = {"ev": self.kind}
        blobs: list[bytes] = []
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, (bytes, bytearray, memoryview)):
                blobs.append(bytes(value))
            else:
                header[entry.name] = value
        return header, blobs


@dataclass(frozen=True)
class Hello(Event):
    """The engine process lives; torch is not imported yet."""

    kind: ClassVar[str] = "hello"
    pid: int = 0
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Heartbeat(Event):
    """Sent about once a second by a thread of its own."""

    kind: ClassVar[str] = "heartbeat"
    rss_mb: float = 0.0
    busy_job: str | None = None


@dataclass(frozen=True)
class ModelLoading(Event):
    kind: ClassVar[str] = "model_loading"
    name: str = ""
    fraction: float = 0.0


@dataclass(frozen=True)
class ModelReady(Event):
    kind: ClassVar[str] = "model_ready"
    name: str = ""
    title: str = ""
    hash: str = ""
    family: str = ""
    vae: str | None = None
    path: str = ""
    resident: list[str] = field(default_factory=list)
    """Titles of all models in memory, the one used last at the end."""


@dataclass(frozen=True)
class ModelGone(Event):
    """No model is in memory any more."""

    kind: ClassVar[str] = "model_gone"


@dataclass(frozen=True)
class ModelFailed(Event):
    """A checkpoint could not be loaded; the one before keeps working."""

    kind: ClassVar[str] = "model_failed"
    name: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Started(Event):
    kind: ClassVar[str] = "started"
    job: str = ""


@dataclass(frozen=True)
class Step(Event):
    """``step`` of ``steps`` is done in batch ``iteration`` (from 0) of ``n_iter``."""

    kind: ClassVar[str] = "step"
    job: str = ""
    iteration: int = 0
    n_iter: int = 1
    step: int = 0
    steps: int = 0


@dataclass(frozen=True)
class Working(Event):
    """Part ``done`` of ``total`` of work without sampling steps is done: an upscaler's tiles."""

    kind: ClassVar[str] = "working"
    job: str = ""
    what: str = ""
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Preview(Event):
    """An encoded picture (``format`` jpeg, png or webp) of the unfinished batch."""

    kind: ClassVar[str] = "preview"
    job: str = ""
    step: int = 0
    format: str = "jpeg"
    data: bytes = b""


@dataclass(frozen=True)
class ImageDone(Event):
    """A finished picture: raw pixels (``mode`` RGB, RGBA or L, row by row, 8 bits) and its
    infotext facts. ``role``: image; or beside the image of the same index: mask, mask_composite,
    before_highres_fix, before_face_restoration, before_color_correction."""

    kind: ClassVar[str] = "image"
    job: str = ""
    index: int = 0
    width: int = 0
    height: int = 0
    mode: str = "RGB"
    data: bytes = b""
    facts: dict[str, Any] = field(default_factory=dict)
    role: str = "image"


@dataclass(frozen=True)
class Warning_(Event):  # noqa: N801 - "Warning" is a builtin exception
    kind: ClassVar[str] = "warning"
    job: str = ""
    message: str = ""
    popup: bool = False
    """Whether the page shall say it at once, beside the remark under the picture."""


@dataclass(frozen=True)
class Paused(Event):
    """The job was put aside; ``data`` is what an engine needs to go on. ``Done`` follows."""

    kind: ClassVar[str] = "paused"
    job: str = ""
    iteration: int = 0
    data: bytes = b""


@dataclass(frozen=True)
class Done(Event):
    """``timings`` are seconds by part: load, text, sample, decode, total."""

    kind: ClassVar[str] = "done"
    job: str = ""
    interrupted: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    paused: bool = False


@dataclass(frozen=True)
class Failed(Event):
    """``failure``: model, memory, nan, input, crash or internal; ``message``: one sentence.

    Without a job: the engine cannot work with the flags that it was given, nor could another one.
    """

    kind: ClassVar[str] = "failed"
    job: str = ""
    failure: str = "internal"
    message: str = ""


@dataclass(frozen=True)
class Reply(Event):
    """The answer to a command that carried an id."""

    kind: ClassVar[str] = "reply"
    id: int = 0
    ok: bool = True
    payload: dict[str, Any] = field(default_factory=dict)


_BY_KIND: dict[str, type[Event]] = {cls.kind: cls for cls in Event.__subclasses__()}


def from_wire(header: dict[str, Any], blobs: list[bytes]) -> Event:
    """Rebuild an event.

    Raises:
        ValueError: the header names no known event, or blobs are missing.
    """
    cls = _BY_KIND.get(str(header.get("ev")))
    if cls is None:
        raise ValueError(f"unknown event {header.get('ev')!r}")
    values: dict[str, Any] = {}
    remaining = iter(blobs)
    for entry in fields(cls):
        if entry.name in header:
            values[entry.name] = header[entry.name]
        elif entry.default == b"":
            values[entry.name] = next(remaining, None)
            if values[entry.name] is None:
                raise ValueError(f"event {cls.kind} lacks its blob {entry.name}")
    return cls(**values)
