"""Progress of a load: from networks to the whole model, and not too often."""

from __future__ import annotations

from collections.abc import Callable

from modules.engine.checkpoints.components import Progress


class Share:
    """Turns the progress of networks into the progress of the whole model."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._before = 0

    def of(self, size: int) -> Callable[[float], None]:
        """The progress function of the next network, of `size` bytes."""
        start, self._before = self._before, self._before + size
        return lambda fraction: self._progress((start + fraction * size) / self._total)


def steady(progress: Progress | None) -> Progress:
    """Pass on at most about a hundred calls."""
    last = [-1.0]

    def report(fraction: float) -> None:
        if progress is not None and (fraction - last[0] >= 0.01 or fraction >= 1 > last[0]):
            last[0] = fraction
            progress(min(fraction, 1.0))

    return report
