"""``/image/{id}``: the finished pictures, inline, as thumbnails or as downloads."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Query, Response

from modules.gallery import ImageReadError
from modules.gallery.stripping import Stripped, strip_metadata
from modules.jobs.records import ImageRecord
from modules.web.context import AppContext
from modules.web.files.reading import PictureGone, read_picture
from modules.web.files.thumbnails import Thumbnails

IMAGE_ID = re.compile(r"[0-9a-f]{32}")
FOREVER = "private, max-age=31536000, immutable"
SIZES = (64, 1024)


def file_router(context: AppContext) -> APIRouter:
    """The picture routes."""
    router = APIRouter(tags=["images"])
    thumbnails = Thumbnails(context.paths.cache / "thumbnails")

    async def find(image_id: str) -> ImageRecord:
        known = IMAGE_ID.fullmatch(image_id)
        record = await asyncio.to_thread(context.jobs.store.image, image_id) if known else None
        if record is None:
            raise HTTPException(404, "There is no such image.")
        return record

    async def content(record: ImageRecord) -> tuple[bytes, str]:
        try:
            return await asyncio.to_thread(read_picture, context, record)
        except PictureGone as error:
            raise HTTPException(404, str(error)) from None

    @router.get("/image/{image_id}")
    async def image(
        image_id: str,
        size: int | None = Query(None, ge=SIZES[0], le=SIZES[1]),
        download: bool = False,
    ) -> Response:
        """A picture as it was saved; ``size`` gives a thumbnail, ``download`` an attachment."""
        record = await find(image_id)
        if size is not None:
            return await small(record, size)
        data, mime = await content(record)
        headers = {"Cache-Control": FOREVER}
        if download:
            headers["Content-Disposition"] = attachment(record.name)
        return Response(data, media_type=mime, headers=headers)

    @router.get("/image/{image_id}/thumb")
    async def thumb(image_id: str, size: int = Query(320, ge=SIZES[0], le=SIZES[1])) -> Response:
        """A small WebP of a picture, at most ``size`` pixels on its longer side."""
        return await small(await find(image_id), size)

    async def small(record: ImageRecord, size: int) -> Response:
        data = await asyncio.to_thread(thumbnails.cached, record.id, size)
        if data is None:
            original, _ = await content(record)
            try:
                data = await asyncio.to_thread(thumbnails.make, record.id, size, original)
            except ImageReadError as error:
                raise HTTPException(404, error.sentence) from None
        return Response(data, media_type="image/webp", headers={"Cache-Control": FOREVER})

    @router.get("/image/{image_id}/download")
    async def download_image(image_id: str, metadata: bool = True) -> Response:
        """A picture as an attachment under its file name; without ``metadata`` neither tells more.

        The name may hold the prompt and the seed, so that it goes too.
        """
        if metadata:
            return await image(image_id, None, True)
        data, _ = await content(await find(image_id))
        try:
            clean = await asyncio.to_thread(strip_metadata, data)
        except ImageReadError as error:
            raise HTTPException(404, error.sentence) from None
        return stripped_answer(clean, image_id[:8])

    return router


def attachment(name: str) -> str:
    """A ``Content-Disposition`` that cannot be broken out of, whatever the name."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)[:150] or "image"
    full = quote(name.encode("utf-8", "replace")[:400], safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{full}"


def stripped_answer(clean: Stripped, name: str) -> Response:
    """A picture without metadata as an attachment under a name that tells nothing either."""
    mime = "image/jpeg" if clean.extension == "jpg" else f"image/{clean.extension}"
    headers = {"Content-Disposition": attachment(f"{name}.{clean.extension}")}
    return Response(clean.data, media_type=mime, headers=headers)
