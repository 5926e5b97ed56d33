"""``/easel/v1``: jobs and the queue, for the page and for clients that do not want to block."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field, ValidationError

from modules.jobs.describe import parameters_json
from modules.jobs.records import FINISHED, STATES
from modules.requests.errors import NotFoundInList
from modules.requests.extras import ExtrasRequest
from modules.requests.generation import GenerationRequest
from modules.requests.models import ConvertRequest, MergeRequest
from modules.web.context import AppContext
from modules.web.live.channel import progress_json, state_json
from modules.web.rest.answers import SafeJSON
from modules.web.rest.generation import client_name


class JobBody(GenerationRequest):
    """A job from the page: A1111's fields, the page's default of 20 steps, and where it goes."""

    steps: int = Field(default=20, ge=1, le=1000)
    task_id: str | None = None
    save: bool = True

    def request(self) -> GenerationRequest:
        """What is asked for, without where it goes."""
        given = self.model_dump(exclude={"task_id", "save"}, exclude_unset=True)
        return GenerationRequest.model_validate(given | {"steps": self.steps})


class ExtrasJobBody(ExtrasRequest):
    """A postprocessing job from the page."""

    task_id: str | None = None
    save: bool = True

    def request(self) -> ExtrasRequest:
        """What is asked for, without where it goes."""
        given = self.model_dump(exclude={"task_id", "save"}, exclude_unset=True)
        return ExtrasRequest.model_validate(given)


class MergeJobBody(MergeRequest):
    """A merge from the page."""

    task_id: str | None = None
    save: bool = True

    def request(self) -> MergeRequest:
        """What is asked for, without where it goes."""
        given = self.model_dump(exclude={"task_id", "save"}, exclude_unset=True)
        return MergeRequest.model_validate(given)


class ConvertJobBody(ConvertRequest):
    """A conversion from the page."""

    task_id: str | None = None
    save: bool = True

    def request(self) -> ConvertRequest:
        """What is asked for, without where it goes."""
        given = self.model_dump(exclude={"task_id", "save"}, exclude_unset=True)
        return ConvertRequest.model_validate(given)


AnyBody = JobBody | ExtrasJobBody | MergeJobBody | ConvertJobBody
BODIES: dict[str, type[AnyBody]] = {
    "extras": ExtrasJobBody,
    "merge": MergeJobBody,
    "convert": ConvertJobBody,
}


def job_body(given: dict[str, Any]) -> AnyBody:
    """The body of its kind.

    Raises:
        RequestValidationError: a field does not fit.
    """
    model = BODIES.get(str(given.get("kind")), JobBody)
    try:
        return model.model_validate(given)
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from None


class MoveBody(BaseModel):
    """Where to move a waiting job."""

    to: Literal["up", "down", "top", "bottom"] = "up"


class WhichJob(BaseModel):
    """A job's id, or null for the one that runs."""

    id: str | None = None
    mode: Literal["interrupt", "stop_after_current"] = "interrupt"


def job_router(context: AppContext) -> APIRouter:
    """Submitting, watching and steering jobs."""
    router = APIRouter(prefix="/easel/v1", tags=["jobs"])
    jobs = context.jobs

    @router.post("/jobs")
    async def submit(given: dict[str, Any], request: Request) -> Response:
        """Put a job into the queue; it is on disk when this answers.

        Fields as those of ``/sdapi/v1/txt2img``, or with ``kind`` "img2img" or "extras" those of
        ``img2img`` and ``extra-batch-images`` (``images`` is a list of pictures), with "merge" or
        "convert" those of ``/easel/v1/merge`` and ``convert``; also ``task_id`` and ``save``.
        """
        body = job_body(given)
        asked = body.request()
        client = client_name("ui", request)
        job_id = await asyncio.to_thread(jobs.submit, asked, client, body.task_id, body.save)
        record = await asyncio.to_thread(jobs.record, job_id)
        brief = await asyncio.to_thread(jobs.brief, record)
        return SafeJSON({**brief, "parameters": parameters_json(record.prepared)})

    @router.get("/jobs")
    async def listed(state: str | None = None, limit: int = Query(50, ge=1, le=500)) -> Response:
        """Waiting and running jobs in order, paused ones, then finished ones, newest first."""
        wanted = [name.strip() for name in state.split(",")] if state else list(STATES)
        for name in wanted:
            if name not in STATES:
                raise NotFoundInList("state", name, STATES)
        return SafeJSON(await asyncio.to_thread(_list, wanted, limit))

    def _list(wanted: list[str], limit: int) -> dict[str, object]:
        unfinished = [*jobs.briefs(), *jobs.paused_briefs()]
        lines = [line for line in unfinished if line["state"] in wanted]
        ended = [name for name in wanted if name in FINISHED]
        if ended and len(lines) < limit:
            records = jobs.recent(limit - len(lines), ended)
            lines += [jobs.brief(record) for record in records]
        return {"paused": jobs.paused, "held": jobs.storage.to_json(), "jobs": lines[:limit]}

    @router.get("/jobs/{job_id}")
    async def one(job_id: str) -> Response:
        """Everything about one job."""
        return SafeJSON(await asyncio.to_thread(lambda: jobs.describe(jobs.record(job_id))))

    @router.get("/jobs/{job_id}/progress")
    async def progress(job_id: str) -> Response:
        """How far one job is."""
        return SafeJSON(progress_json(await asyncio.to_thread(jobs.snapshot, job_id)))

    @router.get("/jobs/{job_id}/preview")
    async def preview(job_id: str) -> Response:
        """The newest preview of a running job; 204 without one."""
        snapshot = await asyncio.to_thread(jobs.snapshot, job_id)
        if snapshot.preview is None:
            return Response(status_code=204)
        headers = {"Cache-Control": "no-store"}
        return Response(snapshot.preview, media_type=snapshot.preview_mime, headers=headers)

    @router.post("/jobs/{job_id}/cancel")
    async def cancel(job_id: str) -> Response:
        """Take a waiting job out, or interrupt a running one."""
        cancelled = await asyncio.to_thread(jobs.cancel, job_id)
        record = await asyncio.to_thread(jobs.record, job_id)
        return SafeJSON({"cancelled": cancelled, "state": record.state})

    @router.post("/jobs/{job_id}/move")
    async def move(job_id: str, body: MoveBody) -> Response:
        """Change a waiting job's place."""
        return SafeJSON({"position": await asyncio.to_thread(jobs.move, job_id, body.to)})

    @router.post("/jobs/{job_id}/retry")
    async def retry(job_id: str) -> Response:
        """Queue a job again that gave no full result."""
        record = await asyncio.to_thread(jobs.retry, job_id)
        return SafeJSON(await asyncio.to_thread(jobs.brief, record))

    @router.post("/interrupt")
    async def interrupt(body: WhichJob | None = None) -> Response:
        """End the running job; pictures that are done stay."""
        body = body or WhichJob()
        return SafeJSON({"done": await asyncio.to_thread(jobs.interrupt, body.id, body.mode)})

    @router.post("/skip")
    async def skip(body: WhichJob | None = None) -> Response:
        """Go on with the next picture."""
        job_id = body.id if body else None
        return SafeJSON({"done": await asyncio.to_thread(jobs.skip, job_id)})

    @router.post("/queue/pause")
    async def pause() -> Response:
        """Start nothing new."""
        await asyncio.to_thread(jobs.pause_all)
        return SafeJSON({"paused": True})

    @router.post("/queue/resume")
    async def resume() -> Response:
        """Go on."""
        await asyncio.to_thread(jobs.resume_all)
        return SafeJSON({"paused": False})

    @router.post("/queue/clear-finished")
    async def clear_finished() -> Response:
        """Empty the list of finished jobs; pictures stay."""
        return SafeJSON({"removed": await asyncio.to_thread(jobs.clear_finished)})

    @router.post("/notices/{notice_id}/dismiss")
    async def dismiss(notice_id: str) -> Response:
        """Take a line of the banner down, for everybody, until the program starts again."""
        return SafeJSON({"dismissed": context.notices.dismiss(notice_id)})

    @router.get("/state")
    async def state() -> Response:
        """What the live channel says first."""
        return SafeJSON(await asyncio.to_thread(state_json, context))

    return router
