"""What every group of measurements is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STARTER = ROOT / "models" / "Stable-diffusion" / "easel-starter"


@dataclass(frozen=True)
class Plan:
    """Where to work and how much."""

    data: Path
    """An empty folder for settings, pictures and the queue; removed at the end."""
    models: Path
    """Where the random full-size model is kept between runs."""
    threads: int
    """Threads for the arithmetic, the same on both sides of every comparison."""
    rounds: int
    say: Callable[[str], None]
