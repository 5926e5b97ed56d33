"""``/easel/v1``: where a picture comes from, and pictures without what they say about that."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from modules.gallery.credentials import CredentialsError
from modules.gallery.errors import ImageReadError
from modules.gallery.provenance import verify_picture
from modules.gallery.stripping import strip_metadata
from modules.requests.errors import RequestError
from modules.web.context import AppContext
from modules.web.files.reading import PictureGone, read_picture
from modules.web.files.routes import stripped_answer
from modules.web.rest.answers import SafeJSON, error_answer
from modules.web.rest.pictures import picture_bytes

FIELDS = "an object with image or image_id, or a picture's bytes."


def provenance_router(context: AppContext) -> APIRouter:
    """Verifying and stripping."""
    router = APIRouter(prefix="/easel/v1", tags=["images"])

    @router.post("/verify")
    async def verify(request: Request) -> Response:
        """The Content Credentials and the invisible watermark of a picture (bytes, base64, id)."""
        data = await _picture(request)
        options = context.options.as_dict()
        try:
            found = await asyncio.to_thread(verify_picture, data, context.paths, options)
        except ImageReadError as error:
            raise RequestError("image", "…", error.sentence) from None
        except CredentialsError as error:
            return error_answer(501, "CredentialsError", error.sentence)
        return SafeJSON(found.to_json())

    @router.post("/strip")
    async def strip(request: Request) -> Response:
        """The same picture without parameters, EXIF, credentials, comments (bytes, base64, id)."""
        data = await _picture(request)
        try:
            clean = await asyncio.to_thread(strip_metadata, data)
        except ImageReadError as error:
            raise RequestError("image", "…", error.sentence) from None
        return stripped_answer(clean, "picture")

    async def _picture(request: Request) -> bytes:
        data = await request.body()
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return data
        return await asyncio.to_thread(_of_json, data)

    def _of_json(data: bytes) -> bytes:
        try:
            body: Any = json.loads(data)
        except (ValueError, RecursionError):
            raise RequestError("body", "", "it is no JSON.") from None
        given = body if isinstance(body, dict) else {}
        if isinstance(given.get("image_id"), str):
            return _of_id(given["image_id"])
        if isinstance(given.get("image"), str):
            return picture_bytes(context, given["image"])
        raise RequestError("body", "", f"allowed: {FIELDS}")

    def _of_id(image_id: str) -> bytes:
        record = context.jobs.store.image(image_id)
        if record is None:
            raise HTTPException(404, "There is no such image.")
        try:
            return read_picture(context, record)[0]
        except PictureGone as error:
            raise HTTPException(404, str(error)) from None

    return router
