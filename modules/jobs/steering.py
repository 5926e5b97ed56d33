"""Acting on the queue: stopping, moving, repeating and pausing jobs."""

from __future__ import annotations

from modules.jobs.admission import Admission
from modules.jobs.endings import JobEndings
from modules.jobs.records import (
    CANCELLED,
    FINISHED,
    PAUSED,
    QUEUED,
    RUNNING,
    JobRecord,
    UnknownJob,
)
from modules.jobs.store import JobStore
from modules.requests.errors import RequestError
from modules.settings.notices import Notice, NoticeBoard
from modules.settings.store import OptionStore

AFTER_CRASH = "after-crash"
"""The notice about a queue that starts paused."""
FIRST = 1_000_000
"""Counts as overtaken so often that nothing may pass any more."""


class QueueSteering(JobEndings):
    """The half of the job service that changes what waits and what runs."""

    admission: Admission
    notices: NoticeBoard
    options: OptionStore

    def __init__(self, store: JobStore) -> None:
        super().__init__(store)
        self._overtaken: dict[str, int] = {}

    def interrupt(self, job_id: str | None = None, mode: str = "interrupt") -> bool:
        """Stop the running job soon; pictures that are done stay. False when it does not run.

        ``mode``: ``interrupt`` within one step, ``skip`` the current batch, ``stop_after_current``
        after the current batch.
        """
        run = self._current
        if run is None or job_id not in (None, run.record.id):
            return False
        run.ask_to_stop(mode)
        return True

    def skip(self, job_id: str | None = None) -> bool:
        """End the current batch of the running job and go on with the next."""
        return self.interrupt(job_id, "skip")

    def cancel(self, job_id: str) -> bool:
        """Take a waiting or paused job out, interrupt a running one; False for finished ones.

        Raises:
            UnknownJob: there is none with this id.
        """
        with self._lock:
            record = self.store.get(job_id)
            if record.state in (QUEUED, PAUSED):
                self._finish_row(job_id, CANCELLED, None)
                return True
        return record.state == RUNNING and self.interrupt(job_id)

    def move(self, job_id: str, to: str) -> int:
        """Move a waiting job ``up``, ``down``, to the ``top`` or ``bottom``; returns its new place.

        Raises:
            UnknownJob: no waiting job has this id.
            RequestError: ``to`` is none of the four.
        """
        with self._lock:
            ids = self.store.waiting_ids()
            if job_id not in ids:
                raise UnknownJob(job_id)
            place = ids.index(job_id)
            targets = {"up": place - 1, "down": place + 1, "top": 0, "bottom": len(ids) - 1}
            if to not in targets:
                raise RequestError("to", to, f"allowed: {', '.join(targets)}.")
            target = min(max(targets[to], 0), len(ids) - 1)
            ids.insert(target, ids.pop(place))
            self.store.reorder(ids)
            # What the user put first is not overtaken by jobs of the loaded checkpoint.
            self._overtaken.update(dict.fromkeys(ids[: target + 1], FIRST))
        self._announce_queue()
        return target + 1

    def move_up(self, job_id: str) -> int:
        """One place towards the front."""
        return self.move(job_id, "up")

    def retry(self, job_id: str) -> JobRecord:
        """Put a finished job that gave no full result back at the end of the queue.

        Raises:
            UnknownJob: there is none with this id.
            RequestError: it is waiting, running or done.
        """
        with self._lock:
            record = self.store.get(job_id)
            if record.state not in FINISHED or record.state == "done":
                raise RequestError(
                    "id",
                    job_id,
                    f"the job is {record.state}; only an unfinished one can be retried.",
                )
            self.admission.check_room(record.client)
            self.store.update(
                job_id,
                state=QUEUED,
                position=self.store.edge_positions()[1] + 1,
                attempts=0,
                error=None,
                started=None,
                finished=None,
            )
            record = self.store.get(job_id)
        self._announce(record)
        self._worker.nudge()
        return record

    def pause_all(self) -> None:
        """Start nothing new; the running job goes on to its end. Kept over restarts."""
        self._set_paused(True)

    def resume_all(self) -> None:
        """Go on after a pause, or although results cannot be kept where they should be."""
        self.notices.remove(AFTER_CRASH)
        self.storage.ignore()
        if self._paused:
            self._set_paused(False)
        self._announce_queue()
        self._worker.nudge()

    def _pause_after_crash(self) -> None:
        """At start: nothing begins by itself when it may be what ended the program before."""
        patience = {"Resume": 0, "Pause": 1}.get(str(self.options.get("queue_after_crash")), 2)
        if not patience or self.crashes < patience or not self.store.count(QUEUED):
            return
        self._set_paused(True)
        once = self.crashes == 1
        times = "" if once else f" {self.crashes} times in a row"
        self.notices.add(
            Notice(
                id=AFTER_CRASH,
                text=f"Easel ended unexpectedly{times}, so the queue starts paused.",
                code="after_a_crash" if once else "after_crash",
                params={"times": str(self.crashes)},
                action="resume",
                lasting=True,
            )
        )

    def _set_paused(self, paused: bool) -> None:
        self.store.set_flag("paused", "yes" if paused else "no")
        self._paused = paused
        self._announce_queue()

    def clear_finished(self) -> int:
        """Empty the list of finished jobs; pictures stay. Returns how many."""
        removed = self.store.hide_finished()
        self._announce_queue()
        return removed
