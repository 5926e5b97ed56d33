"""``/easel/v1/inputs``: pictures that jobs will use, uploaded once and named by their content."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from pydantic import BaseModel

from modules.imaging.kinds import mime_of
from modules.jobs.inputs import PREFIX, StoredInput
from modules.requests.errors import RequestError
from modules.requests.generation import Name
from modules.web.context import AppContext
from modules.web.files.reading import PictureGone, read_picture
from modules.web.files.routes import FOREVER, IMAGE_ID
from modules.web.rest.answers import SafeJSON

SHA256 = re.compile(r"[0-9a-f]{64}")


class ImageBody(BaseModel):
    """A picture of the gallery."""

    image_id: Name


def input_router(context: AppContext) -> APIRouter:
    """Uploading, looking at and taking over input pictures."""
    router = APIRouter(prefix="/easel/v1/inputs", tags=["inputs"])
    jobs = context.jobs

    @router.post("")
    async def upload(request: Request) -> Response:
        """Keep a picture (the raw bytes of a file) for a job; gives its reference and size."""
        data = await request.body()
        stored = await asyncio.to_thread(jobs.keep_input, data)
        return SafeJSON(input_object(stored))

    @router.post("/from-image")
    async def from_image(body: ImageBody) -> Response:
        """Take a finished picture as an input."""
        stored = await asyncio.to_thread(_take_over, body.image_id)
        return SafeJSON(input_object(stored))

    def _take_over(image_id: str) -> StoredInput:
        record = jobs.store.image(image_id) if IMAGE_ID.fullmatch(image_id) else None
        if record is None:
            raise HTTPException(404, "There is no such image.")
        try:
            return jobs.keep_input(read_picture(context, record)[0])
        except PictureGone as error:
            raise HTTPException(404, str(error)) from None

    @router.get("/{sha256}")
    async def picture(sha256: str) -> Response:
        """An input picture as it was given."""
        if not SHA256.fullmatch(sha256):
            raise HTTPException(404, "There is no such picture.")
        data = await asyncio.to_thread(_read, sha256)
        mime = mime_of(data)
        if mime is None:
            raise HTTPException(404, "There is no such picture.")
        return Response(data, media_type=mime, headers={"Cache-Control": FOREVER})

    def _read(sha256: str) -> bytes:
        try:
            return jobs.inputs.path(PREFIX + sha256).read_bytes()
        except (RequestError, OSError):
            raise HTTPException(404, "There is no such picture.") from None

    return router


def input_object(stored: StoredInput) -> dict[str, Any]:
    """What the page needs to show and to use a picture."""
    return {
        "ref": stored.ref,
        "width": stored.width,
        "height": stored.height,
        "has_alpha": stored.has_alpha,
        "url": f"/easel/v1/inputs/{stored.sha256}",
    }
