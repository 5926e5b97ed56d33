"""``/easel/v1/scripts``: the selectable scripts of a tab with everything that their form needs."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import Response

from modules.web.context import AppContext
from modules.web.rest.answers import SafeJSON


def script_router(context: AppContext) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/easel/v1", tags=["scripts"])

    @router.get("/scripts")
    async def scripts(tab: Literal["txt2img", "img2img"] = "txt2img") -> Response:
        """Scripts that can be chosen on a tab: controls in A1111's order, lists of values."""
        return SafeJSON(await asyncio.to_thread(_described, context, tab))

    return router


def _described(context: AppContext, tab: str) -> dict[str, Any]:
    planner = context.jobs.preparer.planner
    found = [] if planner is None else planner.described(tab, context.options.as_dict())
    more = [] if context.plugins is None else context.plugins.rows(tab)
    return {"scripts": [*found, *more]}
