"""A1111's ``api.api``: helpers for pictures in JSON."""

from __future__ import annotations

import base64
import io
from typing import Any


def decode_base64_to_image(encoding: str) -> Any:
    """A PIL image from base64; addresses are not fetched.

    Raises:
        HTTPException: it is no picture.
    """
    from fastapi import HTTPException
    from PIL import Image

    if encoding.startswith("data:image/"):
        encoding = encoding.split(";", 1)[1].split(",", 1)[1]
    try:
        return Image.open(io.BytesIO(base64.b64decode(encoding)))
    except Exception as error:
        raise HTTPException(status_code=500, detail="Invalid encoded image") from error


def encode_pil_to_base64(image: Any) -> bytes:
    """A PIL image as base64 of a PNG with its parameters."""
    from PIL.PngImagePlugin import PngInfo

    metadata = PngInfo()
    for key, value in getattr(image, "info", {}).items():
        if isinstance(key, str) and isinstance(value, str):
            metadata.add_text(key, value)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", pnginfo=metadata)
    return base64.b64encode(buffer.getvalue())


def upscaler_to_index(name: str) -> int:
    """The place of an upscaler in the list.

    Raises:
        HTTPException: there is none of that name.
    """
    from fastapi import HTTPException

    from modules.addons.a1111 import shared

    names = [one.name.lower() for one in shared.sd_upscalers]
    if name.lower() not in names:
        raise HTTPException(status_code=400, detail=f"Invalid upscaler, needs to be one of {names}")
    return names.index(name.lower())


class Api:
    """A1111's routes are the program's own."""

    def __init__(self, app: Any, queue_lock: Any) -> None:
        self.app = app
        self.queue_lock = queue_lock

    def add_api_route(self, path: str, endpoint: Any, **kwargs: Any) -> Any:
        """Add a route to the program; it stands behind its login."""
        return self.app.add_api_route(path, endpoint, **kwargs)
