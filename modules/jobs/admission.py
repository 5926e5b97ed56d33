"""Who may put a job into the queue: how many may wait, and under which ids."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from modules.jobs.records import QUEUED, QueueFull
from modules.jobs.store import JobStore
from modules.requests.errors import RequestError
from modules.settings.store import OptionStore

TASK_ID = re.compile(r"[A-Za-z0-9()_.\-]{1,100}")


@dataclass(frozen=True)
class QueueLimits:
    """How many jobs may wait."""

    total: int = 200
    per_client: int = 50

    @classmethod
    def from_options(cls, options: OptionStore) -> QueueLimits:
        """The limits that the settings ask for."""
        return cls(int(options["max_queued_jobs"]), int(options["max_queued_jobs_per_client"]))


@dataclass(frozen=True)
class Admission:
    """The queue's door."""

    store: JobStore
    limits: Callable[[], QueueLimits]
    seconds_until_room: Callable[[], float | None]

    def check_room(self, client: str) -> None:
        """Refuse a job when too many wait.

        Raises:
            QueueFull: of everybody's jobs, or of this client's.
        """
        limits = self.limits()
        waiting = self.store.count(QUEUED)
        retry = int(min(600, max(5, self.seconds_until_room() or 10)))
        if waiting >= limits.total:
            raise QueueFull(f"The queue is full ({waiting} jobs wait). Try again later.", retry)
        mine = self.store.count(QUEUED, client)
        if mine >= limits.per_client:
            raise QueueFull(
                f"{mine} of your jobs wait already; allowed: {limits.per_client}.", retry
            )

    def new_id(self, task_id: str | None) -> str:
        """The id that was asked for, or a random one.

        Raises:
            RequestError: it is taken, or no possible id.
        """
        if not task_id:
            return secrets.token_hex(8)
        if not TASK_ID.fullmatch(task_id):
            raise RequestError(
                "task_id", task_id, "allowed: 1 to 100 letters, digits and any of ( ) _ . -"
            )
        if self.store.exists(task_id):
            raise taken(task_id)
        return task_id


def taken(job_id: str) -> RequestError:
    """Two jobs cannot have one id."""
    return RequestError("task_id", job_id, "this id is taken; choose another.")
