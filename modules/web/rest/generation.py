"""``/sdapi/v1/txt2img``, ``img2img`` and what belongs to a running job."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from pydantic import model_validator

from modules.gallery import encode_image, open_image, parse_any, to_request
from modules.gallery.credentials.report import may_have_credentials
from modules.jobs.describe import info_object, ordered_images
from modules.jobs.preparing.pictures import NO_INIT_IMAGE
from modules.jobs.progress import ProgressSnapshot
from modules.jobs.records import CANCELLED, DONE, INTERRUPTED, ImageRecord, JobRecord
from modules.requests.generation import GenerationRequest
from modules.web.context import AppContext
from modules.web.files.reading import PictureGone, read_picture
from modules.web.rest.answers import SafeJSON, error_answer
from modules.web.rest.apply_settings import overrides_to_stay
from modules.web.rest.waiting import finished

JOB_NAMES = {"txt2img": "scripts_txt2img", "img2img": "scripts_img2img"}
REFUSED_FAILURES = ("model", "input")
"""Failures that another request would not have: the client's to mend."""


class ApiBody(GenerationRequest):
    """A request over A1111's API: the route says of which kind it is."""

    @model_validator(mode="before")
    @classmethod
    def _the_route_decides(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if key != "kind"}
        return data


def generation_router(context: AppContext) -> APIRouter:
    """Generating, progress, interrupt, skip."""
    router = APIRouter(prefix="/sdapi/v1", tags=["generation"])
    jobs = context.jobs

    @router.post("/txt2img")
    async def txt2img(body: ApiBody, request: Request) -> Response:
        """Generate pictures from text; answers when they are done."""
        return await generate(body.model_copy(update={"kind": "txt2img"}), request)

    @router.post("/img2img")
    async def img2img(body: ApiBody, request: Request) -> Response:
        """Generate pictures from pictures; answers when they are done."""
        asked = body.model_copy(update={"kind": "img2img"})
        if not body.init_images:
            raise HTTPException(404, NO_INIT_IMAGE)
        return await generate(asked, request)

    async def generate(body: GenerationRequest, request: Request) -> Response:
        asked = await asyncio.to_thread(with_infotext, body, context)
        stay = await asyncio.to_thread(overrides_to_stay, context, asked)
        task_id = asked.force_task_id
        job_id = await asyncio.to_thread(
            jobs.submit, asked, client_name("api", request), task_id, asked.save_images
        )
        context.options.set_many(stay, save=False)
        record = await finished(jobs, job_id)
        return await asyncio.to_thread(answer, context, asked, record)

    @router.get("/progress")
    async def progress(skip_current_image: bool = False) -> Response:
        """How far the running job is."""
        snapshot = jobs.snapshot()  # no thread: those may all be busy
        return SafeJSON(progress_object(snapshot, not skip_current_image))

    @router.post("/interrupt")
    async def interrupt() -> Response:
        """End the running job now; pictures so far are returned to whoever asked for them."""
        await asyncio.to_thread(jobs.interrupt)
        return SafeJSON({})

    @router.post("/skip")
    async def skip() -> Response:
        """End the current picture and go on with the next."""
        await asyncio.to_thread(jobs.skip)
        return SafeJSON(None)

    return router


def client_name(door: str, request: Request) -> str:
    """Who submits, for the share that each client has of the queue."""
    return f"{door}:{request.client.host if request.client else ''}"


def with_infotext(body: GenerationRequest, context: AppContext) -> GenerationRequest:
    """Fields that the request does not set itself are read from its infotext."""
    if not body.infotext:
        return body
    found = to_request(
        parse_any(body.infotext),
        context.options.as_dict(),
        styles=context.styles,
        find_loras=context.catalog.loras_of_hashes,
    )
    known = GenerationRequest.model_fields
    fields = {
        key: value
        for key, value in found.fields.items()
        if key in known and key not in body.model_fields_set
    }
    given = body.model_dump(include=body.model_fields_set - {"override_settings"})
    overrides = {**found.override_settings, **body.override_settings}
    return GenerationRequest.model_validate(
        {**fields, **given, "kind": body.kind, "override_settings": overrides}
    )


def answer(context: AppContext, asked: GenerationRequest, record: JobRecord) -> Response:
    """A1111's answer: pictures as bare base64, the request, and ``info`` as JSON text."""
    if record.state not in (DONE, INTERRUPTED):
        return failure_answer(record)
    images = []
    if asked.send_images:
        for image in ordered_images(record):
            try:
                images.append(encoded(context, image))
            except PictureGone as error:
                raise HTTPException(500, str(error)) from None
    return SafeJSON(
        {
            "images": images,
            "parameters": asked.as_parameters(),
            "info": json.dumps(info_object(record), ensure_ascii=False),
        }
    )


def failure_answer(record: JobRecord) -> Response:
    """Why there are no pictures."""
    if record.state == CANCELLED:
        return error_answer(409, "Cancelled", "The job was cancelled before it began.")
    if record.state == INTERRUPTED:
        return error_answer(409, "Interrupted", "The job was interrupted before it had a result.")
    sentence = record.error or "The job failed."
    failure = record.facts.get("failure")
    if failure in REFUSED_FAILURES:
        return error_answer(422, "RequestError", sentence, field=None, job=record.id)
    return error_answer(500, "EngineError", sentence, job=record.id)


def encoded(context: AppContext, image: ImageRecord) -> str:
    """One picture as base64 in the format that the settings in force name."""
    options = context.options.as_dict()
    data, mime = read_picture(context, image)
    wanted = str(options.get("samples_format") or "png").lower()
    other = mime != {"jpg": "image/jpeg"}.get(wanted, f"image/{wanted}")
    # Another format would lose the signature: a signed picture is given as it is.
    if other and image.kind == "image" and not may_have_credentials(data):
        data = encode_image(open_image(data), wanted, image.infotext, options).data
    return base64.b64encode(data).decode("ascii")


def progress_object(snapshot: ProgressSnapshot, with_image: bool) -> dict[str, Any]:
    """A1111's ``/progress``; idle is exactly progress 0 and job_count 0."""
    running = snapshot.job is not None
    image = None
    if with_image and snapshot.preview is not None:
        image = base64.b64encode(snapshot.preview).decode("ascii")
    several = snapshot.iterations > 1
    name = f"Batch {snapshot.iteration + 1} out of {snapshot.iterations}" if several else ""
    stamp = time.strftime("%Y%m%d%H%M%S", time.localtime(snapshot.started or time.time()))
    return {
        "progress": round(snapshot.progress, 4) if running else 0.0,
        "eta_relative": round(snapshot.eta or 0.0, 2),
        "state": {
            "skipped": snapshot.skipped,
            "interrupted": snapshot.interrupted,
            "stopping_generation": snapshot.stopping,
            "job": (name or JOB_NAMES.get(snapshot.kind, snapshot.kind)) if running else "",
            "job_count": snapshot.iterations if running else 0,
            "job_timestamp": stamp if running else "0",
            "job_no": snapshot.iteration,
            "sampling_step": snapshot.step,
            "sampling_steps": snapshot.steps,
        },
        "current_image": image,
        "textinfo": snapshot.text or None,
    }
