"""What a job has used and done so far."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modules.engine.generation.pause_state import PauseState


@dataclass
class Ledger:
    """Seconds by part of the work, and the pictures made."""

    seconds: Counter[str] = field(default_factory=Counter)
    pictures: int = 0
    interrupted: bool = False
    paused: PauseState | None = None
    """Where the job is, when it was put aside."""

    @contextmanager
    def clock(self, part: str) -> Iterator[None]:
        """Add the time spent inside to ``part``."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] += time.perf_counter() - begun


def timings(ledger: Ledger, **more: Any) -> dict[str, float]:
    """Seconds by part, for ``Done``."""
    return {key: round(value, 4) for key, value in {**ledger.seconds, **more}.items()}
