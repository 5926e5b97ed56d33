"""What about this machine will make trouble: looked at when the program starts, one sentence each.

What makes a start impossible (the port, the data folder, Python itself) is refused elsewhere; the
disk is watched all the time (``modules.jobs.storage``).
"""

from __future__ import annotations

import importlib.metadata
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator

import psutil

from modules.settings.flags import Flags
from modules.settings.notices import Notice, NoticeBoard
from modules.setup.torch_build import CPU, Hardware, choose_build, find_hardware

log = logging.getLogger("easel.web")

MADE = 2026
"""The year of this version: a clock that says less is wrong."""
LEAST_MEMORY_GB = 3.0
"""Free memory below which not even a checkpoint of Stable Diffusion 1.5 loads."""
_CARDS = {"nvidia": "an NVIDIA card", "amd": "an AMD card"}


def check_in_background(flags: Flags, notices: NoticeBoard) -> threading.Thread:
    """Put up what is found; asking the graphics driver may take seconds."""

    def run() -> None:
        try:
            for notice in found(flags):
                log.warning("%s", notice.text)
                notices.add(notice)
        except Exception:
            log.exception("this machine could not be looked at")

    thread = threading.Thread(target=run, name="start-checks", daemon=True)
    thread.start()
    return thread


def found(
    flags: Flags,
    *,
    hardware: Callable[[], Hardware] = find_hardware,
    torch_version: str | None = None,
    free_bytes: int | None = None,
    now: float | None = None,
) -> Iterator[Notice]:
    """Every finding; what is not given is looked up."""
    yield from _clock(time.time() if now is None else now)
    yield from _memory(psutil.virtual_memory().available if free_bytes is None else free_bytes)
    if not flags.use_cpu:
        yield from _torch(hardware(), _torch_version() if torch_version is None else torch_version)


def _clock(now: float) -> Iterator[Notice]:
    year = time.gmtime(now).tm_year
    if year < MADE:
        date = time.strftime("%Y-%m-%d", time.gmtime(now))
        text = (
            f"The clock of this machine says {date}, which cannot be: set it, or files are dated "
            "wrongly and downloads fail."
        )
        yield Notice("check:clock", text, "check_clock", {"date": date})


def _memory(free_bytes: int) -> Iterator[Notice]:
    free = free_bytes / 2**30
    if free < LEAST_MEMORY_GB:
        amount = f"{free:.1f}"
        text = (
            f"Only {amount} GB of memory are free; a checkpoint of Stable Diffusion 1.5 needs "
            f"about {LEAST_MEMORY_GB:.0f}. Close other programs, or start with --lowvram."
        )
        params = {"free": amount, "needed": f"{LEAST_MEMORY_GB:.0f}"}
        yield Notice("check:memory", text, "check_memory", params)


def _torch(hardware: Hardware, version: str) -> Iterator[Notice]:
    """Whether the build of torch fits the graphics card and its driver."""
    wanted, build = choose_build(hardware), version.partition("+")[2]
    card = _CARDS.get(hardware.kind)
    if card is None or wanted is None or not version:
        return
    remedy = "python3 launch.py setup --reinstall-torch"
    if build == CPU:
        text = (
            f"There is {card} in this machine, but torch {version} is the build for processors "
            f"alone: run `{remedy}` to use the card."
        )
        params = {"version": version, "remedy": remedy}
        yield Notice("check:torch", text, f"check_torch_{hardware.kind}", params)
    elif _cuda(build) > _cuda(wanted) > 0:
        text = (
            f"torch {version} needs a newer driver or card than this machine has (driver branch "
            f"{hardware.driver}): update the driver, or run `{remedy}`."
        )
        params = {"version": version, "driver": str(hardware.driver), "remedy": remedy}
        yield Notice("check:torch", text, "check_torch_driver", params)


def _cuda(build: str) -> int:
    """126 of cu126; 0 for other builds."""
    match = re.fullmatch(r"cu(\d+)", build)
    return int(match[1]) if match else 0


def _torch_version() -> str:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""
