"""Changing checkpoints: two random SD 1.5 files in fp16, against diffusers' `from_single_file`.

Processor seconds of the whole process, all threads, which other programs disturb little. Both sides
work in turn within one run, in 32 bits, after each has loaded each file once (imports, the page
cache, and our sha256 and check for NaN, which are done once per file, are in nobody's figure).

- swap: our engine holds one checkpoint and changes it for the other. On the other side
  `pipe = from_single_file(...)`: as with us, the former model stays until the new one is there. The
  ratio `..._freed_first` lets diffusers drop the former model before, which costs it less memory
  and time, but leaves nothing when the load fails.
- floor: what converting as many numbers from memory to memory costs alone, in the same run.
- extra memory: the engine's peak during a swap over what it held before, by the file's size.
- growth: resident memory after thirty more swaps, by that before them.
- second visit: the engine may hold two checkpoints; going back to the one that waits.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.full_size import provide_config
from benchmarks.machine import peak_resident_mb, resident_mb
from benchmarks.plan import STARTER, Plan
from benchmarks.sides import BareSide, OurSide

NAMES = ("one.safetensors", "other.safetensors")
SDXL_GB = 14
"""Free memory that SDXL needs in 32 bits, with something to spare."""
SWAPS = 30
VISITS = 20
ONE = {"sd_checkpoints_limit": 1}
TWO = {"sd_checkpoints_limit": 2, "model_ram_budget_mb": 16_384}


@dataclass(frozen=True)
class Cost:
    """What one load took."""

    cpu_s: float
    seconds: float

    def __str__(self) -> str:
        return f"{self.cpu_s:.2f} s of processor time, {self.seconds:.2f} s"


def measure(plan: Plan) -> dict[str, object]:
    """All figures; the files are written for this run and deleted with it."""
    files = [plan.data / "swap" / name for name in NAMES]
    config = provide_config(plan.data / "sd15-config")
    plan.say(f"writing two files of 2.1 GB to {files[0].parent}")
    with contextlib.ExitStack() as living:
        bare = living.enter_context(BareSide(plan, our_malloc=False, module="benchmarks.swap_side"))
        bare.ask(make=[str(file) for file in files])
        ours = living.enter_context(OurSide(plan, files[0]))
        figures = _swaps(plan, ours, bare, files, config)
        figures |= _growth(plan, ours, files)
    with OurSide(plan, files[0]) as ours:
        figures |= _visits(plan, ours, files)
    load, visit = figures["from_single_file_cpu_s"], figures["second_visit_s"]
    return {**figures, "second_visit_ratio_vs_from_single_file": load / max(visit, 1e-3)}


def measure_sdxl(plan: Plan) -> dict[str, object]:
    """One random SDXL file in fp16 under two names: read into fresh memory, then in place."""
    file = plan.data / "swap" / "sdxl.safetensors"
    free = psutil.virtual_memory().available / 2**30
    if free < SDXL_GB:
        return {"sdxl_load": f"left out: {SDXL_GB} GB of free memory are needed, {free:.0f} are"}
    plan.say(f"writing a file of 6.9 GB to {file.parent}")
    with BareSide(plan, our_malloc=False, module="benchmarks.swap_side") as helper:
        helper.ask(make=[str(file)], family="sdxl")
    other = file.with_name("sdxl-again.safetensors")
    os.link(file, other)
    size_mb = file.stat().st_size / 2**20
    with OurSide(plan, STARTER) as ours:
        ours.load(STARTER, ONE)
        first = _cost(ours.pid, lambda: ours.load(file, ONE))
        before = _begin_peak(ours.pid)
        again = _cost(ours.pid, lambda: ours.load(other, ONE))
        extra = peak_resident_mb(ours.pid) - before if before is not None else None
    return {
        "sdxl_load_cpu_s": first.cpu_s,
        "sdxl_load_s": first.seconds,
        "sdxl_swap_cpu_s": again.cpu_s,
        "sdxl_swap_s": again.seconds,
        "sdxl_swap_extra_memory_ratio": extra and extra / size_mb,
    }


def _swaps(
    plan: Plan, ours: OurSide, bare: BareSide, files: list[Path], config: Path
) -> dict[str, object]:
    """The ratio, and the memory that a swap needs for a moment."""
    size_mb = files[0].stat().st_size / 2**20
    swaps: list[Cost] = []
    loads: dict[bool, list[Cost]] = {False: [], True: []}
    extra: list[float] = []
    floors: list[float] = []
    for file in files:
        ours.load(file, ONE)
        bare.ask(load=str(file), config=str(config), free_first=False)
    for number in range(2 * plan.rounds):
        file = files[number % 2]
        before = _begin_peak(ours.pid)
        swaps.append(_cost(ours.pid, lambda file=file: ours.load(file, ONE)))
        if before is not None:
            extra.append(peak_resident_mb(ours.pid) - before)
        plan.say(f"swap: {swaps[-1]}")
        floors.append(bare.ask(convert=files[0].stat().st_size // 2)["cpu_s"])
        for free_first, costs in loads.items():
            answer: dict[str, Any] = bare.ask(
                load=str(file), config=str(config), free_first=free_first
            )
            costs.append(Cost(answer["cpu_s"], answer["s"]))
            plan.say(f"from_single_file{', freed first' * free_first}: {costs[-1]}")
    swap, replacing, freed = (_median(costs) for costs in (swaps, loads[False], loads[True]))
    return {
        "swap_ratio_vs_from_single_file": replacing.cpu_s / swap.cpu_s,
        "swap_ratio_vs_from_single_file_freed_first": freed.cpu_s / swap.cpu_s,
        "swap_ratio_on_the_clock": replacing.seconds / swap.seconds,
        "swap_cpu_s": swap.cpu_s,
        "swap_cpu_s_least": min(cost.cpu_s for cost in swaps),
        "swap_floor_cpu_s": min(floors),
        "from_single_file_cpu_s": replacing.cpu_s,
        "from_single_file_freed_first_cpu_s": freed.cpu_s,
        "swap_file_mb": round(size_mb),
        "swap_extra_memory_ratio": max(extra) / size_mb if extra else None,
    }


def _median(costs: list[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.cpu_s for cost in costs),
        statistics.median(cost.seconds for cost in costs),
    )


def _growth(plan: Plan, ours: OurSide, files: list[Path]) -> dict[str, object]:
    before = resident_mb(ours.pid)
    for number in range(SWAPS):
        ours.load(files[number % 2], ONE)
    after = resident_mb(ours.pid)
    plan.say(f"resident memory before and after {SWAPS} swaps: {before:.0f}, {after:.0f} MB")
    return {"swap_rss_growth_30": after / before}


def _visits(plan: Plan, ours: OurSide, files: list[Path]) -> dict[str, object]:
    """The first visit reads beside the one that stays; every later one finds its model there."""
    ours.load(files[0], TWO)
    before = _begin_peak(ours.pid)
    first = _cost(ours.pid, lambda: ours.load(files[1], TWO))
    beside = peak_resident_mb(ours.pid) - before if before is not None else None

    def go_round() -> None:
        for number in range(VISITS):
            ours.load(files[number % 2], TWO)

    visits = _cost(ours.pid, go_round)
    plan.say(
        f"first visit {first.cpu_s:.2f} s of processor time, later ones {visits.cpu_s / VISITS:.4f}"
    )
    return {
        "second_visit_s": visits.cpu_s / VISITS,
        "second_visit_on_the_clock_s": visits.seconds / VISITS,
        "first_visit_beside_cpu_s": first.cpu_s,
        "first_visit_beside_mb": beside and round(beside),
    }


def _cost(pid: int, work: Callable[[], Any]) -> Cost:
    """Processor time of a process, and time on the clock, while something is done."""
    process = psutil.Process(pid)
    times, started = process.cpu_times(), time.perf_counter()
    work()
    seconds, now = time.perf_counter() - started, process.cpu_times()
    return Cost(now.user + now.system - times.user - times.system, seconds)


def _begin_peak(pid: int) -> float | None:
    """Forget the process's peak; its resident memory now in 2^20 bytes, None where that fails."""
    try:
        with open(f"/proc/{pid}/clear_refs", "wb", buffering=0) as file:
            os.write(file.fileno(), b"5")
    except OSError:
        return None
    return resident_mb(pid)
