"""``/sdapi/v1/options`` and ``cmd-flags``."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from modules.jobs.models import LoadFailed
from modules.web.context import AppContext
from modules.web.rest.answers import SafeJSON, error_answer
from modules.web.rest.apply_settings import CHECKPOINT, apply_settings, options_object


def settings_router(context: AppContext) -> APIRouter:
    """Reading and changing settings as A1111's clients do."""
    router = APIRouter(prefix="/sdapi/v1", tags=["settings"])

    @router.get("/options")
    async def options() -> Response:
        """All settings."""
        return SafeJSON(await asyncio.to_thread(options_object, context))

    @router.post("/options")
    async def set_options(values: dict[str, Any]) -> Response:
        """Change settings; a new checkpoint is loaded before the answer unless a job runs."""
        applied = await asyncio.to_thread(apply_settings, context, values)
        if applied.loading is not None and not context.jobs.busy:
            try:
                await asyncio.wrap_future(applied.loading)
            except LoadFailed as error:
                return error_answer(422, "RequestError", str(error), field=CHECKPOINT)
        return SafeJSON(None)

    @router.get("/cmd-flags")
    async def cmd_flags() -> Response:
        """The command line, without anything secret."""
        return SafeJSON(context.flags.as_cmd_flags())

    return router
