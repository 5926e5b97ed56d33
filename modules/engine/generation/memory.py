"""Running out of memory: how it is told from other errors, and what can be freed."""

from __future__ import annotations

import gc
import math
import os
from pathlib import Path
from typing import Any

import psutil
import torch

_CPU_MESSAGES = (
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "out of memory",
    "could not create a primitive",  # oneDNN without room for its buffers
    "could not create a memory object",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, on any device."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    if not isinstance(error, RuntimeError):
        return False
    text = str(error).lower()
    return any(message in text for message in _CPU_MESSAGES)


def free_caches(device: torch.device) -> None:
    """Give back what torch keeps for later."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    elif device.type == "xpu":
        torch.xpu.empty_cache()


def keep_for_good() -> None:
    """Exempt what is there now, libraries and networks, from the garbage collector's rounds.

    A million objects that stay make every round of :func:`free_caches` take a quarter of a second.
    Whoever drops a network calls ``gc.unfreeze`` first.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def memory_report(device: torch.device) -> dict[str, Any]:
    """Memory of the machine and the device in bytes, as ``/sdapi/v1/memory`` answers it."""
    whole = psutil.virtual_memory()
    used = psutil.Process().memory_info().rss
    report: dict[str, Any] = {
        "ram": {"free": whole.available, "used": used, "total": whole.total},
        "cuda": {"error": "unavailable"},
    }
    if device.type != "cuda":
        return report
    free, total = torch.cuda.mem_get_info(device)
    stats = torch.cuda.memory_stats(device)

    def counted(name: str) -> dict[str, int]:
        return {
            "current": stats.get(f"{name}_bytes.all.current", 0),
            "peak": stats.get(f"{name}_bytes.all.peak", 0),
        }

    report["cuda"] = {
        "system": {"free": free, "used": total - free, "total": total},
        "active": counted("active"),
        "allocated": counted("allocated"),
        "reserved": counted("reserved"),
        "inactive": counted("inactive_split"),
        "events": {"retries": stats.get("num_alloc_retries", 0), "oom": stats.get("num_ooms", 0)},
    }
    return report


def choose_threads() -> int:
    """How many threads the CPU's arithmetic gets; ``OMP_NUM_THREADS`` wins.

    One per physical core that this process may use, and no more than the container's quota: a
    second thread on the same core slows matrix products down.
    """
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdigit() and int(told) > 0:
        return int(told)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    physical = psutil.cpu_count(logical=False) or allowed or 1
    return max(1, min(allowed or 1, physical, _quota()))


def _quota(file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Cores that the container may use (Linux control groups, version 2)."""
    try:
        quota, period = file.read_text().split()
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        return 10**6
