"""Which number format is fast on a device: measured once, kept on disk.

Sixteen bits halve the memory, and on most GPUs the time. On a processor they may be emulated and
far slower than 32 bits, even where it has instructions for them: bfloat16 took 1.1 to 2 times as
long on one that has. So small pieces of a UNet are timed. A processor computes in 32 bits unless
another format is clearly faster; a GPU in float16, as A1111's pictures are made, unless that is
clearly slower or gives wrong numbers.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from modules.settings.atomic import write_json

logger = logging.getLogger("easel.engine")

VERSION = 1
"""Of the measurement; another one makes what is on disk void."""
ROUNDS = 3
CLEARLY_FASTER = 0.75
"""A processor leaves 32 bits for a format that takes less than this share of the time: pictures in
16 bits differ in rounding from those of other machines, which is worth something."""
CLEARLY_SLOWER = 1.25
"""A GPU goes over to 32 bits when float16 takes more than this share of their time."""
LARGEST_ERROR = 0.05
"""Of the results, relative to 32 bits; broken drivers give NaN or far more."""

NAMES: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class Trial:
    """What was measured."""

    seconds: Mapping[str, float]
    """Name of a format to the seconds of one round of the work; none for formats that fail."""

    def best(self, device_type: str) -> torch.dtype:
        """The format for the networks of a device."""
        full = self.seconds["float32"]
        if device_type == "cpu":
            name = min(self.seconds, key=lambda one: self.seconds[one])
            return NAMES[name] if self.seconds[name] < CLEARLY_FASTER * full else torch.float32
        for name in ("float16", "bfloat16"):
            if self.seconds.get(name, float("inf")) <= CLEARLY_SLOWER * full:
                return NAMES[name]
        return torch.float32


def fast_dtype(device: torch.device, name: str, cache: Path | None) -> torch.dtype:
    """The number format for networks on this device, measured at first sight.

    Args:
        name: of the device, for people; results are kept by it, torch's version and the threads.
        cache: folder of things that can be made again; None keeps nothing.
    """
    if device.type not in ("cpu", "cuda", "xpu", "mps"):
        return torch.float32
    formats = possible(device)
    if formats == ("float32",):
        return torch.float32
    key = f"{VERSION}|{device.type}|{name}|{torch.__version__}|{torch.get_num_threads()}"
    file = cache / "engine" / "precision.json" if cache else None
    known = _read(file)
    trial = _kept(known.get(key), formats)
    if trial is None:
        trial = measure(device, formats)
        _keep(file, {**known, key: dict(trial.seconds)})
    chosen = trial.best(device.type)
    logger.info("number formats on %s: %s; networks compute in %s", name, _shown(trial), chosen)
    return chosen


def possible(device: torch.device) -> tuple[str, ...]:
    """Formats that the device computes in by itself; emulated ones are never faster."""
    if device.type != "cpu":
        return ("float32", "float16", "bfloat16")
    mkldnn = torch.ops.mkldnn
    found = ["float32"]
    for name, check in (
        ("bfloat16", "_is_mkldnn_bf16_supported"),
        ("float16", "_is_mkldnn_fp16_supported"),
    ):
        try:
            if torch.backends.mkldnn.is_available() and getattr(mkldnn, check)():
                found.append(name)
        except (AttributeError, RuntimeError):
            logger.debug("torch does not tell whether the processor has %s", name)
    return tuple(found)


def measure(device: torch.device, formats: tuple[str, ...]) -> Trial:
    """Time the formats in turns, so that a busy machine disturbs all alike."""
    works: dict[str, Callable[[], Tensor]] = {}
    reference: Tensor | None = None
    with torch.inference_mode():
        for name in formats:
            work = piece_of_work(device, NAMES[name])
            try:
                result = work().float().cpu()
            except RuntimeError as error:
                logger.info("%s does not work here: %s", name, error)
                continue
            if reference is None:
                reference = result
            if _right(result, reference):
                works[name] = work
            else:
                logger.warning("%s gives wrong numbers on this device and is not used", name)
        seconds: dict[str, float] = {}
        for _ in range(ROUNDS):
            for name, work in works.items():
                taken = _seconds(work, device)
                seconds[name] = min(taken, seconds.get(name, taken))
    seconds.setdefault("float32", float("inf"))
    return Trial(seconds)


def piece_of_work(device: torch.device, dtype: torch.dtype) -> Callable[[], Tensor]:
    """The parts of a UNet where its time goes: a convolution, attention, the linear layers."""
    generator = torch.Generator().manual_seed(0)
    side, width, heads = (16, 160, 4) if device.type == "cpu" else (64, 320, 8)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(device, dtype)

    picture = random(2, width, side, side)
    kernel = random(width, width, 3, 3) / (9 * width) ** 0.5
    up, down = random(4 * width, width) / width**0.5, random(width, 4 * width) / (4 * width) ** 0.5

    def work() -> Tensor:
        x = functional.silu(functional.group_norm(picture, 32))
        x = functional.conv2d(x, kernel, padding=1)
        rows = x.flatten(2).transpose(1, 2)
        split = rows.unflatten(2, (heads, -1)).transpose(1, 2)
        attended = functional.scaled_dot_product_attention(split, split, split)
        rows = rows + attended.transpose(1, 2).flatten(2)
        return rows + functional.linear(functional.gelu(functional.linear(rows, up)), down)

    return work


def _seconds(work: Callable[[], Tensor], device: torch.device) -> float:
    """Processor time on a processor: other programs do not count. The clock on a device."""
    if device.type == "cpu":
        begun = time.process_time()
        work()
        return time.process_time() - begun
    wait = getattr(torch, device.type).synchronize
    wait()
    begun = time.perf_counter()
    for _ in range(10):
        work()
    wait()
    return (time.perf_counter() - begun) / 10


def _right(result: Tensor, reference: Tensor) -> bool:
    if not bool(torch.isfinite(result).all()):
        return False
    return float((result - reference).norm() / reference.norm()) < LARGEST_ERROR


def _shown(trial: Trial) -> str:
    return ", ".join(f"{name} {1000 * seconds:.2f} ms" for name, seconds in trial.seconds.items())


def _kept(entry: object, formats: tuple[str, ...]) -> Trial | None:
    """A trial from disk, if it is one of these formats at the most."""
    if not isinstance(entry, dict) or "float32" not in entry:
        return None
    good = all(
        name in formats and isinstance(s, (int, float)) and s > 0 for name, s in entry.items()
    )
    return Trial(entry) if good else None


def _read(file: Path | None) -> dict[str, object]:
    if file is None:
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _keep(file: Path | None, content: dict[str, object]) -> None:
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, content)
    except OSError as error:
        logger.warning("the measured number formats could not be kept: %s", error)
