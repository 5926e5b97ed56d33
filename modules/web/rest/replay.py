"""``/easel/v1``: making a picture again and comparing the two."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from modules.jobs.describe import image_json
from modules.jobs.records import FINISHED, ImageRecord
from modules.jobs.replaying import Replays, report_json
from modules.requests.errors import RequestError
from modules.web.context import AppContext
from modules.web.files.reading import read_picture
from modules.web.rest.answers import SafeJSON
from modules.web.rest.generation import client_name
from modules.web.rest.pictures import picture_bytes


def replay_router(context: AppContext) -> APIRouter:
    """Replays of recorded pictures and of files."""
    router = APIRouter(prefix="/easel/v1", tags=["images"])
    jobs = context.jobs

    def read(image: ImageRecord) -> bytes:
        return read_picture(context, image)[0]

    replays = Replays(jobs, read)

    @router.post("/images/{image_id}/replay")
    async def replay(image_id: str, request: Request) -> Response:
        """Make a picture of this installation again; gives the job that does it."""
        client = client_name("replay", request)
        if await asyncio.to_thread(jobs.store.image, image_id) is None:
            raise HTTPException(404, "There is no such image.")
        job_id = await asyncio.to_thread(replays.of_image, image_id, client)
        return SafeJSON({"job": job_id})

    @router.post("/replay")
    async def replay_file(request: Request) -> Response:
        """Make the picture of a file (raw bytes, or ``{"image": base64}``) again."""
        data, client = await request.body(), client_name("replay", request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            data = await asyncio.to_thread(_picture_in, data)
        return SafeJSON({"job": await asyncio.to_thread(replays.of_file, data, client)})

    @router.get("/jobs/{job_id}/replay")
    async def verdict(job_id: str) -> Response:
        """What came of a replay: whether both pictures are the same, else the likely causes."""
        return SafeJSON(await asyncio.to_thread(_verdict, job_id))

    def _picture_in(data: bytes) -> bytes:
        try:
            given = json.loads(data)
            text = given["image"]
        except (ValueError, RecursionError, KeyError, TypeError):
            text = None
        if not isinstance(text, str):
            raise RequestError("body", "", "allowed: a picture's bytes, or an object with image.")
        return picture_bytes(context, text)

    def _verdict(job_id: str) -> dict[str, Any]:
        report, record = replays.report(job_id), jobs.record(job_id)
        answer: dict[str, Any] = {
            "job": job_id,
            "state": record.state,
            "finished": record.state in FINISHED,
            "error": record.error,
            "warnings": list(record.warnings),
        }
        if report is None:
            return answer
        original = None if report.original is None else f"/image/{report.original}"
        return {
            **answer,
            **report_json(report),
            "original": original,
            "image": image_json(report.image),
        }

    return router
