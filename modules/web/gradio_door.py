"""A door of our own before Gradio: only the routes that a page needs, and only uploaded files.

Gradio checks paths itself (``has_launched``); this is the second lock, which does not depend on
Gradio's version.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.responses import JSONResponse

from modules.web.gate.place import local_path

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

OPEN = re.compile(
    r"/|/config/?|/(?:static|assets)/.+|/favicon\.ico|/robots\.txt|/theme\.css"
    r"|/gradio_api/(?:info/?|app_id/?|startup-events|theme\.css|upload_progress|queue/data"
    r"|heartbeat/[^/]+|call/[^/]+/[^/]+|file=.+"
    r"|custom_component/[^/]+/[^/]+/[^/]+/[^/]+)"
)
"""What may be read. Not proxies, links to other machines, monitoring, its login, editors, runs."""
DOING = re.compile(
    r"/gradio_api/(?:upload|queue/join|reset/?|cancel|(?:run|api|call)/[^/]+/?|component_server/?)"
)
"""What may be posted."""
UPLOAD = "/gradio_api/upload"
FILE = "/gradio_api/file="
MAX_DEPTH = 64


class GradioDoor:
    """Refuses what our page never asks of Gradio, and every file that was not uploaded to it."""

    def __init__(self, app: App, folder: Path) -> None:
        self.app = app
        self.folder = folder.resolve()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http" or not self._known(scope):
            await _refuse(scope, receive, send, 404, "There is no such page.")
        elif local_path(scope).startswith(FILE):
            await self._file(scope, receive, send)
        elif scope["method"] == "POST" and local_path(scope) != UPLOAD:
            await self._post(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _known(self, scope: MutableMapping[str, Any]) -> bool:
        allowed = DOING if scope["method"] == "POST" else OPEN
        known = scope["method"] in ("GET", "HEAD", "POST")
        return known and allowed.fullmatch(local_path(scope)) is not None

    async def _file(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if self.holds(local_path(scope)[len(FILE) :]):
            await self.app(scope, receive, send)
        else:
            await _refuse(scope, receive, send, 403, "This file was not uploaded here.")

    async def _post(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        body = await _whole(receive)
        if body is None:
            return
        try:
            content = json.loads(body) if body else None
            fine = self._fine(content, 0)
        except (ValueError, RecursionError):
            fine = True  # Gradio cannot read it either, and says so
        if not fine:
            await _refuse(scope, receive, send, 403, "This file was not uploaded here.")
            return
        parts = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return parts.pop() if parts else await receive()

        await self.app(scope, again, send)

    def _fine(self, content: Any, depth: int) -> bool:
        if depth > MAX_DEPTH:
            return False
        if isinstance(content, list):
            return all(self._fine(entry, depth + 1) for entry in content)
        if not isinstance(content, dict):
            return True
        if "path" in content and not self._is_ours(content):
            return False
        return all(self._fine(entry, depth + 1) for entry in content.values())

    def _is_ours(self, content: dict[str, Any]) -> bool:
        path = content["path"]
        if path is None or path == "":
            return True
        return isinstance(path, str) and self.holds(path)

    def holds(self, path: str) -> bool:
        """Whether a path is a plain file in the folder of uploads, with no hidden part."""
        for spelling in {path, unquote(path)}:
            try:
                real = Path(os.path.realpath(spelling))
                inside = real.relative_to(self.folder)
            except (ValueError, OSError):
                return False
            if not inside.parts or any(part.startswith(".") for part in inside.parts):
                return False
            if ".." in Path(spelling).parts or not Path(spelling).is_absolute():
                return False
        return True


async def _whole(receive: Receive) -> bytes | None:
    """The body, whose size the gate limits; None when the client went away."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body") or b""
        if not message.get("more_body"):
            return bytes(body)


async def _refuse(
    scope: MutableMapping[str, Any], receive: Receive, send: Send, status: int, sentence: str
) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    body = {"error": "HTTPException", "detail": sentence, "body": "", "errors": sentence}
    await JSONResponse(body, status_code=status)(scope, receive, send)
