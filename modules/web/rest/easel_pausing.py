"""``/easel/v1/jobs/…``: putting single jobs aside and going on with them."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel

from modules.web.context import AppContext
from modules.web.rest.answers import SafeJSON


class PauseBody(BaseModel):
    """When the running job is put aside: after its step, or after its current pictures."""

    when: Literal["now", "after_current"] = "now"


def pausing_router(context: AppContext) -> APIRouter:
    """Pause, resume, first."""
    router = APIRouter(prefix="/easel/v1", tags=["jobs"])
    jobs = context.jobs

    @router.post("/jobs/{job_id}/pause")
    async def pause(job_id: str, body: PauseBody | None = None) -> Response:
        """Put a job aside: a waiting one at once, the running one as soon as its step is done.

        Where it was is kept on disk. The state is ``paused`` once that has happened.
        """
        when = (body or PauseBody()).when
        record = await asyncio.to_thread(jobs.pause, job_id, when)
        return SafeJSON(await asyncio.to_thread(jobs.brief, record))

    @router.post("/jobs/{job_id}/resume")
    async def resume(job_id: str) -> Response:
        """Go on with a paused job as the next one, to the picture that it would have become."""
        record = await asyncio.to_thread(jobs.resume, job_id)
        return SafeJSON(await asyncio.to_thread(jobs.brief, record))

    @router.post("/jobs/{job_id}/first")
    async def first(job_id: str) -> Response:
        """Do a waiting or paused job now; the running one is put aside and goes on behind it."""
        record = await asyncio.to_thread(jobs.do_first, job_id)
        return SafeJSON(await asyncio.to_thread(jobs.brief, record))

    return router
