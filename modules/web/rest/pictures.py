"""Pictures in requests: base64 or data URIs, checked before anything is decoded; ``png-info``."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
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
from modules.requests.errors import RequestError
from modules.web.context import AppContext
from modules.web.rest.answers import SafeJSON

_DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w=.-]+)*;base64,")


class PngInfoBody(BaseModel):
    """The request of ``png-info``."""

    image: str


def picture_router(context: AppContext) -> APIRouter:
    """What a picture says about itself, as A1111 answers it."""
    router = APIRouter(prefix="/sdapi/v1", tags=["images"])

    @router.post("/png-info")
    async def png_info(body: PngInfoBody) -> Response:
        """The parameters in a picture: ``info`` is empty when there are none."""
        info = await asyncio.to_thread(info_of_text, body.image)
        return SafeJSON(
            {
                "info": info.text,
                "items": info.items,
                "parameters": a1111_parameters(info.parsed) if info.text else {},
            }
        )

    return router


def decode_picture(text: str, field: str = "image") -> bytes:
    """The bytes of a base64 or data-URI picture.

    Raises:
        RequestError: it is a URL, or no base64.
    """
    text = text.strip()
    if text.lower().startswith(("http://", "https://", "file:", "ftp:")):
        raise RequestError(field, text, "addresses are not fetched; send the picture as base64.")
    match = _DATA_URI.match(text)
    body = text[match.end() :] if match else text
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        raise RequestError(field, "…", "it is no base64 picture.") from None


def info_of_text(text: str) -> ImageInfo:
    """What a base64 picture says.

    Raises:
        RequestError: it is no picture.
    """
    return info_of_bytes(decode_picture(text))


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
    found = to_request(parsed, options, with_checkpoint=swap, styles=context.styles)
    return {
        "info": text,
        "items": {},
        "parameters": a1111_parameters(parsed) if text else {},
        "fields": found.fields,
        "override_settings": found.override_settings,
        "unknown": found.unknown,
        "notes": list(found.notes),
        "template": found.template,
        "negative_template": found.negative_template,
        "dialect": parsed.dialect,
    }
