"""Putting the checkpoints away when nobody has used them for a while."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger("easel.jobs")

LOOK_SECONDS = 5.0


class IdleClock:
    """Says when to unload: pure arithmetic over moments, so that it can be tested."""

    def __init__(self, now: float) -> None:
        self._used = now
        self._model: object = None

    def due(self, now: float, *, minutes: float, busy: bool, model: object) -> bool:
        """Whether the model has been idle for so many minutes.

        Args:
            minutes: 0 means never.
            busy: a job runs, or a model is being loaded.
            model: what is loaded; None for nothing. A change counts as use.
        """
        if busy or model != self._model:
            self._used, self._model = now, model
        return bool(minutes) and model is not None and now - self._used >= 60 * minutes


class IdleUnload:
    """A thread that looks at the clock now and then."""

    def __init__(
        self,
        minutes: Callable[[], float],
        busy: Callable[[], bool],
        model: Callable[[], object],
        unload: Callable[[], object],
        *,
        look: float = LOOK_SECONDS,
    ) -> None:
        """`look`: seconds between two looks."""
        self._look = look
        self._minutes = minutes
        self._busy = busy
        self._model = model
        self._unload = unload
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="easel-idle", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()

    def _watch(self) -> None:
        clock = IdleClock(time.monotonic())
        while not self._stopping.wait(self._look):
            due = clock.due(
                time.monotonic(), minutes=self._minutes(), busy=self._busy(), model=self._model()
            )
            if due:
                log.info("checkpoints are put away: nobody has used them for a while")
                self._unload()
