"""The one thread that feeds the engine: the next job, or a model to load between two jobs."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

log = logging.getLogger("easel.jobs")

PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds after an unexpected error, such as a full disk; doubled with each in a row."""

Task = Callable[[], Any]


class Worker:
    """Runs tasks (loading, unloading) before jobs, and one job at a time.

    ``next_job()`` hands out a job to run or None; ``run_job(job)`` runs it to its end.
    """

    def __init__(self, next_job: Callable[[], Any], run_job: Callable[[Any], None]) -> None:
        self._next_job = next_job
        self._run_job = run_job
        self._condition = threading.Condition()
        self._tasks: deque[tuple[Task, Future[Any]]] = deque()
        self._stopping = False
        self._nudged = False
        self._pause = PAUSE
        self._thread = threading.Thread(target=self._loop, name="easel-jobs", daemon=True)

    def start(self) -> None:
        """Begin working."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Take nothing new; waits for the current job to end, up to ``timeout`` seconds."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)
        while self._tasks:
            self._tasks.popleft()[1].cancel()

    @property
    def stopping(self) -> bool:
        """True once the program is on its way out."""
        return self._stopping

    def nudge(self) -> None:
        """Something may have become runnable."""
        with self._condition:
            self._nudged = True
            self._condition.notify_all()

    def between_jobs(self, task: Task) -> Future[Any]:
        """Run ``task`` on the worker's thread as soon as no job runs."""
        future: Future[Any] = Future()
        with self._condition:
            if self._stopping:
                future.cancel()
                return future
            self._tasks.append((task, future))
            self._condition.notify_all()
        return future

    def _loop(self) -> None:
        while True:
            with self._condition:
                if not self._tasks and not self._nudged and not self._stopping:
                    self._condition.wait()
                if self._stopping:
                    return
                self._nudged = False
                entry = self._tasks.popleft() if self._tasks else None
            if entry is not None:
                self._do(*entry)
                self.nudge()
                continue
            self._run_next()

    def _run_next(self) -> None:
        try:
            job = self._next_job()
            if job is not None:
                self._run_job(job)
                self.nudge()
            self._pause = PAUSE
        except Exception:
            log.exception("the job worker met an unexpected error and goes on")
            with self._condition:
                self._condition.wait_for(lambda: self._stopping, self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            self.nudge()

    def _do(self, task: Task, future: Future[Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(task())
        except Exception as error:
            log.exception("a task between jobs failed")
            future.set_exception(error)
