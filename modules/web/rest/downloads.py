"""``/easel/v1/downloads``: fetching model files, watching and stopping it."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response
from pydantic import BaseModel, Field

from modules.catalog.downloads import KINDS, DownloadOrder
from modules.requests.errors import RequestError
from modules.requests.generation import Name
from modules.web.context import AppContext
from modules.web.rest.answers import SafeJSON


class AddressBody(BaseModel):
    """The address of a file or of a model's page."""

    address: Name


class OrderBody(AddressBody):
    """What to fetch, and where to; empty fields are worked out from the address."""

    kind: Name = ""
    folder: Name = ""
    file: Name = ""
    sha256: Name = ""


class TokenBody(BaseModel):
    """A site's access token; empty to forget it."""

    site: Name
    token: str = Field(max_length=1000)


def download_router(context: AppContext) -> APIRouter:
    """The list of downloads."""
    router = APIRouter(prefix="/easel/v1/downloads", tags=["downloads"])
    manager = context.downloads

    @router.get("")
    async def listed() -> Response:
        """All downloads, the kinds of files with their folders, and which tokens are there."""
        return SafeJSON(await asyncio.to_thread(_everything))

    @router.post("/inspect")
    async def inspect(body: AddressBody) -> Response:
        """What an address leads to: the file, its kind, size, hash and licence, or a choice."""
        source = await asyncio.to_thread(manager.inspect, body.address)
        return SafeJSON(source.to_json())

    @router.post("")
    async def start(body: OrderBody) -> Response:
        """Begin a download."""
        _not_frozen()
        order = DownloadOrder(**body.model_dump())
        return SafeJSON((await asyncio.to_thread(manager.start, order)).to_json())

    @router.put("/token")
    async def token(body: TokenBody) -> Response:
        """Keep an access token; it is sent to its own site alone and never told again."""
        _not_frozen()
        try:
            await asyncio.to_thread(manager.tokens.set, body.site, body.token)
        except OSError as error:
            raise HTTPException(500, f"The token could not be kept: {error.strerror}.") from None
        return SafeJSON({"tokens": manager.tokens.known()})

    @router.post("/{download_id}/cancel")
    async def cancel(download_id: Name) -> Response:
        """Stop a download; it can go on later."""
        return await _steered(download_id, manager.cancel)

    @router.post("/{download_id}/resume")
    async def resume(download_id: Name) -> Response:
        """Go on with a download that was stopped or failed."""
        _not_frozen()
        return await _steered(download_id, manager.resume)

    @router.delete("/{download_id}")
    async def forget(download_id: Name) -> Response:
        """Take a download off the list; a finished file stays, a part of one goes."""
        if not await asyncio.to_thread(manager.forget, download_id):
            raise HTTPException(404, "There is no such download, or it runs.")
        return SafeJSON({"removed": True})

    async def _steered(download_id: str, action: Any) -> Response:
        if manager.get(download_id) is None:
            raise HTTPException(404, "There is no such download.")
        done = await asyncio.to_thread(action, download_id)
        download = manager.get(download_id)
        return SafeJSON({"done": done, "download": download.to_json() if download else None})

    def _everything() -> dict[str, Any]:
        return {
            "downloads": [one.to_json() for one in manager.list()],
            "kinds": [
                {"key": kind.key, "folder": str(kind.folder(context.paths))} for kind in KINDS
            ],
            "tokens": manager.tokens.known(),
        }

    def _not_frozen() -> None:
        if context.flags.freeze_settings:
            raise RequestError("address", "", "nothing is downloaded here (--freeze-settings).")

    return router
