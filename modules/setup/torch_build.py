"""Which build of torch fits this machine, and how pip is asked for it.

`TORCH_COMMAND` (a whole pip command) and `TORCH_INDEX_URL` (an index) win over what is found, as
they do in A1111's launcher. A special index that cannot be reached is followed by the plain
package, through whatever index and links the user's pip is configured with.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

INDEX = "https://download.pytorch.org/whl"
CPU, CUDA_NEW, CUDA_OLD, ROCM = "cpu", "cu130", "cu126", "rocm7.2"
QUICK = ("--retries", "1", "--timeout", "15")
"""An index that does not answer must not hold the start up for minutes."""


@dataclass(frozen=True)
class Hardware:
    """What was found in the machine."""

    kind: str
    """"nvidia", "amd", "apple", "intel-mac" or "none"."""
    driver: int = 0
    """NVIDIA's driver branch (the number before the dot); 0 when it could not be asked."""
    capability: float = 0.0
    """The lowest CUDA compute capability among the cards; 0 when it could not be asked."""


@dataclass(frozen=True)
class Attempt:
    """One way to get torch."""

    label: str
    arguments: tuple[str, ...]
    """What follows `python -m pip`."""
    size_gb: float
    """Disk space that the environment needs with this build, in 10^9 bytes."""


def find_hardware() -> Hardware:
    """Look for an accelerator; at most one quick question to the NVIDIA driver."""
    if sys.platform == "darwin":
        return Hardware("apple" if platform.machine() == "arm64" else "intel-mac")
    if shutil.which("nvidia-smi") or Path("/proc/driver/nvidia/version").exists():
        return _ask_nvidia()
    if sys.platform == "linux" and (Path("/dev/kfd").exists() or shutil.which("rocminfo")):
        return Hardware("amd")
    return Hardware("none")


def _ask_nvidia() -> Hardware:
    try:
        answer = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version,compute_cap", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return Hardware("nvidia")
    return parse_nvidia_smi(answer)


def parse_nvidia_smi(answer: str) -> Hardware:
    """Read `driver_version, compute_cap` lines, one per card."""
    cards = re.findall(r"(\d+)\.[\d.]+\s*,\s*(\d+\.\d+)", answer)
    if not cards:
        return Hardware("nvidia")
    return Hardware("nvidia", int(cards[0][0]), min(float(capability) for _, capability in cards))


def choose_build(hardware: Hardware) -> str | None:
    """The index folder to ask, or None for the plain package.

    CUDA 13 needs driver branch 580 and a card of capability 7.5 (Turing) or newer; older ones run
    the CUDA 12.6 build.
    """
    if hardware.kind == "nvidia":
        old_driver = 0 < hardware.driver < 580
        old_card = 0 < hardware.capability < 7.5
        return CUDA_OLD if old_driver or old_card else CUDA_NEW
    if hardware.kind == "amd":
        return ROCM
    if hardware.kind == "none":
        return CPU
    return None


def plan(
    hardware: Hardware, pins: list[str], environment: Mapping[str, str] = os.environ
) -> list[Attempt]:
    """The ways to install ``pins`` (torch and torchvision), best first."""
    if environment.get("TORCH_COMMAND"):
        words = pip_arguments(environment["TORCH_COMMAND"])
        return [Attempt("TORCH_COMMAND", words, 4)]
    if environment.get("TORCH_INDEX_URL"):
        url = environment["TORCH_INDEX_URL"]
        return [Attempt(url, ("install", "--index-url", url, *pins), 4)]
    plain = Attempt("plain", ("install", *pins), 3 if sys.platform != "linux" else 9)
    build = choose_build(hardware)
    if build is None:
        return [plain]
    # The CPU build needs nothing that requirements.txt does not pin; the others bring their
    # CUDA or ROCm libraries as dependencies.
    alone = ("--no-deps",) if build == CPU else ()
    special = ("install", *QUICK, *alone, "--index-url", f"{INDEX}/{build}", *pins)
    size = {CPU: 3.0, ROCM: 18.0}.get(build, 9.0)
    return [Attempt(build, special, size), plain]


def pip_arguments(command: str) -> tuple[str, ...]:
    """The part of `pip install …` or `python -m pip install …` that follows `pip`."""
    words = shlex.split(command, posix=os.name == "posix")
    if "pip" in words:
        words = words[words.index("pip") + 1 :]
    return tuple(words)
