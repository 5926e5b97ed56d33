"""A1111's ``timer``."""

from __future__ import annotations

import time
from typing import Any


class Timer:
    """Seconds by category."""

    def __init__(self, print_log: bool = False) -> None:
        self.start = time.time()
        self.records: dict[str, float] = {}
        self.total = 0.0
        self.base_category = ""
        self._last = self.start

    def elapsed(self) -> float:
        """Since the last call."""
        now = time.time()
        took, self._last = now - self._last, now
        return took

    def record(self, category: str, extra_time: float = 0) -> None:
        """Add the time since the last call."""
        took = self.elapsed()
        self.records[category] = self.records.get(category, 0) + took + extra_time
        self.total += took + extra_time

    def add_time_to_record(self, category: str, amount: float) -> None:
        """Add time."""
        self.records[category] = self.records.get(category, 0) + amount

    def subcategory(self, name: str) -> Timer:
        """A part of it."""
        return self

    def __enter__(self) -> Timer:
        """Begin."""
        return self

    def __exit__(self, *args: Any) -> None:
        """End."""

    def summary(self) -> str:
        """In words."""
        return f"{self.total:.1f}s"

    def dump(self) -> dict[str, Any]:
        """For JSON."""
        return {"total": self.total, "records": self.records}

    def reset(self) -> None:
        """Begin anew."""
        self.__init__()  # type: ignore[misc]


startup_timer = Timer()
startup_record = None
