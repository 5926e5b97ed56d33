"""``/sdapi/v1/extra-single-image`` and ``extra-batch-images``: postprocessing over the API."""

from __future__ import annotations

import asyncio
from html import escape
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from modules.jobs.records import DONE, INTERRUPTED, JobRecord
from modules.requests.extras import ExtrasRequest
from modules.requests.generation import Name, Picture
from modules.web.context import AppContext
from modules.web.files.reading import PictureGone
from modules.web.rest.answers import SafeJSON
from modules.web.rest.generation import client_name, encoded, failure_answer
from modules.web.rest.waiting import finished


class SingleBody(ExtrasRequest):
    """One picture."""

    image: Picture = ""


class FileData(BaseModel):
    """One picture of several."""

    data: Picture
    name: Name = ""


class BatchBody(ExtrasRequest):
    """Several pictures."""

    imageList: list[FileData] = Field(max_length=10_000)  # noqa: N815 - the API's name


def extras_router(context: AppContext) -> APIRouter:
    """The two postprocessing routes."""
    router = APIRouter(prefix="/sdapi/v1", tags=["extras"])

    @router.post("/extra-single-image")
    async def single(body: SingleBody, request: Request) -> Response:
        """Upscale or repair one picture; answers when it is done."""
        record = await carried_out(body, [body.image] if body.image else [], [], request)
        if record.state not in (DONE, INTERRUPTED) or not record.pictures():
            return failure_answer(record)
        images = await asyncio.to_thread(_encoded, record)
        return SafeJSON({"html_info": html_info(record), "image": images[0]})

    @router.post("/extra-batch-images")
    async def batch(body: BatchBody, request: Request) -> Response:
        """Upscale or repair several pictures; answers when they are done."""
        images = [entry.data for entry in body.imageList]
        names = [entry.name for entry in body.imageList]
        record = await carried_out(body, images, names, request)
        if record.state not in (DONE, INTERRUPTED):
            return failure_answer(record)
        return SafeJSON(
            {
                "html_info": html_info(record),
                "images": await asyncio.to_thread(_encoded, record),
            }
        )

    async def carried_out(
        body: ExtrasRequest, images: list[str], names: list[str], request: Request
    ) -> JobRecord:
        given = body.model_dump(include=ExtrasRequest.model_fields.keys() & body.model_fields_set)
        asked = ExtrasRequest.model_validate({**given, "images": images, "names": names})
        job_id = await asyncio.to_thread(
            context.jobs.submit,
            asked,
            client_name("api", request),
            asked.force_task_id,
            asked.save_images,
        )
        return await finished(context.jobs, job_id)

    def _encoded(record: JobRecord) -> list[str]:
        try:
            return [encoded(context, image) for image in record.pictures()]
        except PictureGone as error:
            raise HTTPException(500, str(error)) from None

    return router


def html_info(record: JobRecord) -> str:
    """What was done, as A1111's page shows it; also what was left out."""
    done: list[Any] = [image.facts.get("postprocessing") for image in record.pictures()]
    lines = dict.fromkeys(str(text) for text in (*done, *record.warnings) if text)
    return "".join(f"<p>{escape(line)}</p>" for line in lines)
