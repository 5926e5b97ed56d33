"""Pictures in requests: base64 or data URIs, checked before anything is decoded; ``png-info``."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel

from modules.gallery import (
    ImageInfo,
    ImageReadError,
    a1111_parameters,
    parse_any,
    read_image_info,
    to_request,
)
from modules.gallery.infotext import ParsedInfotext
from modules.jobs.fetching import FetchRules
from modules.jobs.inputs import is_reference
from modules.jobs.pictures import decode_picture
from modules.requests.errors import RequestError
from modules.web.context import AppContext
from modules.web.rest.answers import SafeJSON
from modules.web.rest.installed import leave_out_missing


class PngInfoBody(BaseModel):
    """The request of ``png-info``."""

    image: str


def picture_router(context: AppContext) -> APIRouter:
    """What a picture says about itself, as A1111 answers it."""
    router = APIRouter(prefix="/sdapi/v1", tags=["images"])

    @router.post("/png-info")
    async def png_info(body: PngInfoBody) -> Response:
        """The parameters in a picture: ``info`` is empty when there are none."""
        info = await asyncio.to_thread(info_of_text, context, body.image)
        return SafeJSON(
            {
                "info": info.text,
                "items": info.items,
                "parameters": a1111_parameters(info.parsed) if info.text else {},
            }
        )

    return router


def info_of_text(context: AppContext, text: str) -> ImageInfo:
    """What a picture in any of the API's forms says.

    Raises:
        RequestError: it is no picture.
    """
    return info_of_bytes(picture_bytes(context, text))


def picture_bytes(context: AppContext, text: str, field: str = "image") -> bytes:
    """A picture's bytes: base64, a data: URL, a stored input, or an address the settings allow.

    Raises:
        RequestError: it is none of these.
    """
    if is_reference(text):
        return context.jobs.inputs.path(text, field).read_bytes()
    return decode_picture(text, field, FetchRules.from_options(context.options.as_dict()))


def info_of_bytes(data: bytes) -> ImageInfo:
    """What a picture file's bytes say.

    Raises:
        RequestError: they are no picture.
    """
    try:
        return read_image_info(data)
    except ImageReadError as error:
        raise RequestError("image", "…", error.sentence) from None


def info_object(context: AppContext, info: ImageInfo) -> dict[str, Any]:
    """A picture's text for the page: as it stands, and as fields of a request."""
    return {
        **text_object(context, info.text, info.parsed),
        "items": info.items,
        "width": info.width,
        "height": info.height,
        "format": info.format,
    }


def text_object(
    context: AppContext, text: str, parsed: ParsedInfotext | None = None
) -> dict[str, Any]:
    """An infotext as fields of a request and settings to override."""
    parsed = parse_any(text) if parsed is None else parsed
    options = context.options.as_dict()
    swap = not options.get("disable_weights_auto_swap", True)
    found = to_request(
        parsed,
        options,
        with_checkpoint=swap,
        styles=context.styles,
        find_loras=context.catalog.loras_of_hashes,
    )
    fields, overrides = dict(found.fields), dict(found.override_settings)
    missing = leave_out_missing(context, parsed, fields, overrides)
    return {
        "info": text,
        "items": {},
        "parameters": a1111_parameters(parsed) if text else {},
        "fields": fields,
        "override_settings": overrides,
        "unknown": found.unknown,
        "notes": [*found.notes, *missing],
        "template": found.template,
        "negative_template": found.negative_template,
        "dialect": parsed.dialect,
    }
