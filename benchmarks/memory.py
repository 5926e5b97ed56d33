"""Memory of a 512x512 picture by a model of Stable Diffusion 1.5's size, in each memory mode.

Each mode has an engine process of its own, on the processor. Resident memory is what the kernel
counts, the interpreter and torch included (about 0.5 GB). Peaks are taken apart for loading and for
the picture. Few steps are made: a step more takes time, and no memory. The picture of each mode is
compared with that of none.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.machine import forget_peak, peak_resident_mb, resident_mb
from benchmarks.plan import Plan
from benchmarks.sides import OurSide, Work
from benchmarks.steps import provide_sd15
from modules.requests.events import Event, ImageDone, Warning_

WORK = Work(size=512, steps=2)
FULL = ("--no-half",)


@dataclass(frozen=True)
class Mode:
    """Flags and settings."""

    words: tuple[str, ...] = FULL
    settings: Mapping[str, Any] | None = None


STRIPS = {"vae_parts": "Strips"}
MODES: dict[str, Mode] = {
    "normal": Mode(),
    "strips": Mode(settings=STRIPS),
    "tiles": Mode(settings={"vae_parts": "Tiles"}),
    "attention_slices": Mode(settings={"attention_slicing": "Always"}),
    "medvram": Mode((*FULL, "--medvram")),
    "medvram_strips": Mode((*FULL, "--medvram"), STRIPS),
    "lowvram": Mode((*FULL, "--lowvram")),
    "lowvram_strips": Mode((*FULL, "--lowvram"), STRIPS),
    "lowvram_strips_singly": Mode((*FULL, "--lowvram"), {**STRIPS, "batch_cond_uncond": False}),
    "fp8_strips": Mode(settings={"fp8_storage": "Enable", **STRIPS}),
    "lowvram_fp8_strips_singly": Mode(
        (*FULL, "--lowvram"), {"fp8_storage": "Enable", "batch_cond_uncond": False, **STRIPS}
    ),
    "half_strips": Mode(("--precision", "half"), STRIPS),
}


def measure(plan: Plan) -> dict[str, object]:
    """Peaks, processor time and the largest difference of a pixel, by mode."""
    checkpoint = provide_sd15(plan)
    results: dict[str, object] = {}
    usual: np.ndarray | None = None
    for name, mode in MODES.items():
        with tempfile.TemporaryDirectory(prefix="easel-bench-memory-") as data:
            figures, picture = _one(replace(plan, data=Path(data)), checkpoint, mode)
        usual = picture if usual is None else usual
        figures["largest_difference"] = int(np.abs(picture.astype(int) - usual.astype(int)).max())
        results[f"memory_{name}"] = figures
        plan.say(f"{name}: {figures}")
    peaks = {name: results[f"memory_{name}"]["peak_mb"] for name in MODES}
    return {"memory_peak_mb": peaks, **results}


def _one(plan: Plan, checkpoint: Path, mode: Mode) -> tuple[dict[str, Any], np.ndarray]:
    pictures: list[np.ndarray] = []
    warnings: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, ImageDone):
            pixels = np.frombuffer(event.data, np.uint8)
            pictures.append(pixels.reshape(event.height, event.width, -1))
        elif isinstance(event, Warning_):
            warnings.append(event.message)

    with contextlib.ExitStack() as living:
        side = living.enter_context(OurSide(plan, checkpoint, mode.words))
        side.load(options=mode.settings)
        loaded, load_peak = resident_mb(side.pid), peak_resident_mb(side.pid)
        forget_peak(side.pid)
        engine = psutil.Process(side.pid)
        before = sum(engine.cpu_times()[:2])
        side.run(WORK, listen, mode.settings)
        cpu = sum(engine.cpu_times()[:2]) - before
        picture_peak = peak_resident_mb(side.pid)
    return {
        "peak_mb": round(max(load_peak, picture_peak)),
        "loading_mb": round(load_peak),
        "loaded_mb": round(loaded),
        "picture_mb": round(picture_peak),
        "cpu_s": round(cpu, 1),
        **({"warnings": warnings} if warnings else {}),
    }, pictures[0]
