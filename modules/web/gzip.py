"""Compression for what gains from it: not for pictures, which are compressed, nor for streams."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.middleware.gzip import GZipMiddleware

from modules.web.gate.place import local_path

PLAIN = ("/sdapi/v1/txt2img", "/sdapi/v1/img2img", "/image/", "/gradio_api/queue")
MINIMUM_BYTES = 1000


class SelectiveGZip:
    """GZip at a level that does not hold up other requests."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._plain = app
        self._packed = GZipMiddleware(app, minimum_size=MINIMUM_BYTES, compresslevel=5)

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[..., Any],
        send: Callable[..., Any],
    ) -> None:
        if scope["type"] != "http" or local_path(scope).startswith(PLAIN):
            await self._plain(scope, receive, send)
        else:
            await self._packed(scope, receive, send)
