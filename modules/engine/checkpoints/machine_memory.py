"""How much memory models may take: of the machine, or of the container that this process is in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Memory:
    """Bytes altogether and bytes that can still be had."""

    total: int
    available: int


def machine_memory(groups: Path = GROUPS) -> Memory:
    """Main memory; a container's limit counts where it is lower (Linux control groups)."""
    whole = psutil.virtual_memory()
    total, available = whole.total, whole.available
    for limit_file, used_file in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        limit, used = _number(groups / limit_file), _number(groups / used_file)
        if limit is not None and used is not None and limit < total:
            cached = _reclaimable(groups / Path(used_file).parent / "memory.stat")
            total = limit
            available = min(available, max(0, limit - used + cached))
    return Memory(total, available)


def device_memory(device: torch.device) -> Memory | None:
    """Memory of a graphics card; None for devices that do not tell, and for the processor."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return Memory(total, free + kept)
    return None


def _reclaimable(file: Path) -> int:
    """Bytes of cached files, which the kernel gives up when programs need them."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    counts = dict(line.split(maxsplit=1) for line in lines if " " in line)
    return sum(int(counts.get(name, 0)) for name in ("inactive_file", "active_file"))


def _number(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
