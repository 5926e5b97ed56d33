"""``/easel/v1/batch``: one request for many pictures, uploaded or in a directory."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from modules.jobs.batch import BatchRequest
from modules.requests.errors import RequestError
from modules.web.context import AppContext
from modules.web.exposure import is_open
from modules.web.rest.answers import SafeJSON
from modules.web.rest.generation import client_name


def batch_router(context: AppContext) -> APIRouter:
    """The batch route."""
    router = APIRouter(prefix="/easel/v1", tags=["jobs"])

    @router.post("/batch")
    async def batch(body: BatchRequest, request: Request) -> Response:
        """Queue one job per picture; pictures that cannot be used are left out and named."""
        _check_directories(body)
        client = client_name("ui", request)
        return SafeJSON(await asyncio.to_thread(_submit, body, client))

    def _submit(body: BatchRequest, client: str) -> dict[str, Any]:
        jobs, skipped = context.jobs.submit_batch(body, client)
        return {"jobs": jobs, "skipped": skipped}

    def _check_directories(body: BatchRequest) -> None:
        """Directories of this machine are for people who sit at it."""
        fields = ("directory", "mask_directory", "output_directory")
        named = [name for name in fields if getattr(body, name)]
        if body.png_info and body.png_info.directory:
            named.append("png_info.directory")
        closed = context.flags.hide_ui_dir_config or is_open(context.flags)
        if named and closed:
            raise RequestError(
                named[0],
                "",
                "directories cannot be chosen while the server is open to other machines "
                "(--listen) or with --hide-ui-dir-config; upload the files instead.",
            )

    return router
