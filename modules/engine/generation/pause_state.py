"""Where a job was when it was paused, and the bytes in which that outlives the process.

A state holds the finished passes of the batch in progress and the sampler's state between two
steps. Everything else follows from the job itself, which is run again up to there: texts are
encoded, pictures decoded and enlarged as before, but no step is taken twice.

    | magic | SHA-256 of the rest, hexadecimal | newline | safetensors: tensors; facts as JSON |
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from modules.engine.sampling import SamplerStep
from modules.requests.events import Event, Warning_
from modules.requests.prepared import PreparedJob
from modules.settings.version import VERSION

MAGIC = b"EASEL PAUSED JOB 1\n"
RESOURCE = "paused"
"""Name of the prepared job's resource: the path of its state."""
FACTS = "facts"
"""Name of the tensor that holds the JSON object as bytes."""
MAX_BYTES = 1024**3
"""A state of sixteen 2048x2048 pictures with five tensors of history takes 25 MB."""

Key = tuple[int, int, int]
"""A walk of a batch: its number, its first picture, how many pictures."""


class UnusableState(ValueError):  # noqa: N818 - reads as what happened
    """A stored state is damaged, or does not belong to what shall go on; the message says why."""


@dataclass(frozen=True)
class FinishedWalk:
    """The outcome of a pass that was over when the job was paused."""

    latents: Tensor
    """[batch, channels, height, width]"""
    left_out: tuple[str, ...] = ()
    handed_over: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class HalfWalk:
    """A pass between two steps."""

    step: SamplerStep
    """The last step taken."""
    noise: Sequence[Any]
    """Where the stream of noise of each picture is: ``NoiseSource.state``."""
    calls: int
    """Evaluations so far, which prompt editing counts."""
    left_out: tuple[str, ...] = ()
    handed_over: bool = False
    """The refiner is at work."""
    together: bool = True
    """Prompt and negative prompt go through the network together."""


@dataclass(frozen=True)
class Position:
    """What was done before the batch in progress, and what must be as it was."""

    job: str
    model_hash: str
    fingerprint: str = ""
    """Of what is painted; a job that a script plans paints one thing after another."""
    iteration: int = 0
    """The batch to go on with, from 0."""
    pictures: int = 0
    """Pictures handed over so far."""
    rungs: tuple[str, ...] = ()
    """What had been done to fit into memory; see ``Rescue.take_again``."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of what decides about pictures: torch, the device, threads."""


@dataclass(frozen=True)
class PauseState:
    """A job between two steps or two batches."""

    position: Position
    finished: Mapping[Key, FinishedWalk] = field(default_factory=dict)
    half: tuple[Key, HalfWalk] | None = None

    def to_bytes(self) -> bytes:
        """The state as a file's content.

        Raises:
            ValueError: it is larger than ``MAX_BYTES``.
        """
        tensors: dict[str, Tensor] = {}
        facts: dict[str, Any] = {"position": asdict(self.position), "finished": [], "half": None}
        for number, (key, walk) in enumerate(self.finished.items()):
            tensors[f"finished.{number}"] = walk.latents
            rest = {"left_out": walk.left_out, "handed_over": walk.handed_over, "extra": walk.extra}
            facts["finished"].append({"key": key, **rest})
        if self.half is not None:
            facts["half"] = _pack_half(*self.half, tensors)
        tensors[FACTS] = torch.frombuffer(bytearray(json.dumps(facts).encode()), dtype=torch.uint8)
        body = safetensors.torch.save({name: _plain(one) for name, one in tensors.items()})
        if len(body) > MAX_BYTES:
            raise ValueError(f"the state takes {len(body)} bytes; allowed: {MAX_BYTES}")
        return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body

    @classmethod
    def from_bytes(cls, data: bytes) -> PauseState:
        """Read a state back, on the CPU.

        Raises:
            UnusableState: it is damaged or of another version.
        """
        try:
            return cls._read(data)
        except UnusableState:
            raise
        except Exception as error:  # whatever a damaged file makes the readers say
            raise UnusableState(f"it cannot be read ({type(error).__name__})") from error

    @classmethod
    def _read(cls, data: bytes) -> PauseState:
        head = len(MAGIC) + 65
        if not data.startswith(MAGIC) or len(data) > MAX_BYTES + head:
            raise UnusableState("it is not a state of this version")
        body = data[head:]
        if hashlib.sha256(body).hexdigest().encode() + b"\n" != data[len(MAGIC) : head]:
            raise UnusableState("it is damaged")
        tensors = safetensors.torch.load(body)
        facts = json.loads(tensors[FACTS].numpy().tobytes())
        position = facts["position"]
        return cls(
            Position(**{**position, "rungs": tuple(position["rungs"])}),
            dict(_finished(facts["finished"], tensors)),
            None if facts["half"] is None else _unpack_half(facts["half"], tensors),
        )

    @classmethod
    def from_file(cls, path: Path, prepared: PreparedJob, model_hash: str) -> PauseState:
        """The state of a job, checked to belong to it and to its checkpoint.

        Raises:
            UnusableState: it cannot be read, or belongs to something else.
        """
        try:
            state = cls.from_bytes(path.read_bytes())
        except OSError as error:
            raise UnusableState(f"it cannot be read ({error.strerror})") from error
        if (state.position.job, state.position.fingerprint) != (prepared.id, fingerprint(prepared)):
            raise UnusableState("it belongs to another job")
        if state.position.model_hash != model_hash:
            raise UnusableState("the checkpoint is another one now")
        return state


def fingerprint(prepared: PreparedJob) -> str:
    """The same for the same pictures."""
    lists = prepared.all_prompts, prepared.all_negative_prompts
    seeds = prepared.all_seeds, prepared.all_subseeds
    told = json.dumps([prepared.kind, prepared.request, *lists, *seeds], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def versions(device: str) -> dict[str, str]:
    """What decides about the last bits of a picture."""
    threads = str(torch.get_num_threads())
    return {"easel": VERSION, "torch": torch.__version__, "device": device, "threads": threads}


def state_to_go_on(
    prepared: PreparedJob, model_hash: str, device: str, emit: Callable[[Event], None]
) -> PauseState | None:
    """Where a paused job goes on; None for all others, and for a state that cannot be used."""
    path = prepared.resources.get(RESOURCE)
    if not path:
        return None
    try:
        state = PauseState.from_file(Path(path), prepared, model_hash)
    except UnusableState as error:
        sentence = f"What was kept of the paused job cannot be used: {error}. It began again."
        emit(Warning_(prepared.id, sentence))
        return None
    now, then = versions(device), state.position.versions
    changed = ", ".join(
        f"{key} {then[key]} before, {now[key]} now"
        for key in now
        if then.get(key) not in (None, now[key])
    )
    if changed:
        sentence = f"The job was paused elsewhere ({changed}): its picture may differ by roundings."
        emit(Warning_(prepared.id, sentence))
    return state


def _pack_half(key: Key, half: HalfWalk, tensors: dict[str, Tensor]) -> dict[str, Any]:
    step = half.step
    tensors |= {"half.x": step.x, "half.denoised": step.denoised}
    tensors |= {f"half.history.{number}": one for number, one in enumerate(step.history)}
    streams: list[int | None] = []
    for number, stream in enumerate(half.noise):
        if isinstance(stream, Tensor):
            tensors[f"half.noise.{number}"] = stream
        streams.append(None if isinstance(stream, Tensor) else int(stream))
    return {
        "key": key,
        "index": step.index,
        # Python writes floats so that reading gives the same bits.
        "sigma": step.sigma,
        "sigma_next": step.sigma_next,
        "fraction": step.fraction,
        "history": len(step.history),
        "noise": streams,
        "calls": half.calls,
        "left_out": half.left_out,
        "handed_over": half.handed_over,
        "together": half.together,
    }


def _unpack_half(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> tuple[Key, HalfWalk]:
    step = SamplerStep(
        facts["index"],
        facts["sigma"],
        facts["sigma_next"],
        tensors["half.x"],
        tensors["half.denoised"],
        tuple(tensors[f"half.history.{number}"] for number in range(facts["history"])),
        facts["fraction"],
    )
    noise = [
        tensors[f"half.noise.{number}"] if stream is None else stream
        for number, stream in enumerate(facts["noise"])
    ]
    half = HalfWalk(
        step,
        noise,
        facts["calls"],
        tuple(facts["left_out"]),
        facts["handed_over"],
        facts["together"],
    )
    return _key(facts["key"]), half


def _finished(
    rows: Sequence[Mapping[str, Any]], tensors: Mapping[str, Tensor]
) -> Iterator[tuple[Key, FinishedWalk]]:
    for number, row in enumerate(rows):
        latents, left_out = tensors[f"finished.{number}"], tuple(row["left_out"])
        yield _key(row["key"]), FinishedWalk(latents, left_out, row["handed_over"], row["extra"])


def _key(values: Sequence[int]) -> Key:
    walk, first, count = values
    return int(walk), int(first), int(count)


def _plain(tensor: Tensor) -> Tensor:
    """A tensor of its own, as safetensors wants them: nothing shared, all in a row."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def on_device(step: SamplerStep, x: Tensor) -> SamplerStep:
    """A stored step with its tensors where ``x`` is; what was made on the CPU stays there."""

    def moved(tensor: Tensor) -> Tensor:
        # DPM adaptive keeps numbers beside latents: they never left the CPU.
        return tensor.to(x.device) if tensor.ndim == x.ndim else tensor

    history = tuple(moved(one) for one in step.history)
    return replace(step, x=moved(step.x), denoised=moved(step.denoised), history=history)
