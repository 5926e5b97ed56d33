"""Which waiting job runs next: in order, but jobs of the loaded checkpoint may go first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modules.jobs.records import JobRecord

LOOK_AHEAD = 20
"""Only this many jobs from the front are candidates."""
MAX_OVERTAKEN = 4
"""A job that was overtaken this often runs next, whatever it needs."""


def choose_next(
    waiting: Sequence[JobRecord], loaded: str | None, overtaken: Mapping[str, int]
) -> JobRecord | None:
    """The job to run, given the checkpoint that is loaded and how often each job was overtaken.

    Switching checkpoints costs seconds, so a job further back that needs the loaded one may pass
    the front; the front is passed at most ``MAX_OVERTAKEN`` times, so no one starves.
    """
    if not waiting:
        return None
    front = waiting[0]
    if loaded is None or front.prepared.get("checkpoint") in (None, loaded):
        return front  # a job without a checkpoint (Extras) needs no other to be loaded
    if overtaken.get(front.id, 0) >= MAX_OVERTAKEN:
        return front
    for job in waiting[1:LOOK_AHEAD]:
        if job.prepared.get("checkpoint") == loaded:
            return job
    return front
