"""Waits for a job without holding a thread."""

from __future__ import annotations

import asyncio
import contextlib

from modules.jobs.records import JobRecord
from modules.jobs.service import JobService


async def finished(jobs: JobService, job_id: str) -> JobRecord:
    """The job's record once nothing more will happen to it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[JobRecord] = loop.create_future()

    def done(record: JobRecord) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed when the program ends
            loop.call_soon_threadsafe(settle, record)

    def settle(record: JobRecord) -> None:
        if not future.done():
            future.set_result(record)

    jobs.when_finished(job_id, done)
    return await future
