"""Ending the program through the API, where ``--api-server-stop`` allows it."""

from __future__ import annotations

import asyncio
import signal

from fastapi import APIRouter
from fastapi.responses import Response

from modules.web.context import AppContext
from modules.web.rest.answers import SafeJSON, error_answer


def stop_router(context: AppContext) -> APIRouter:
    """A1111's ``/sdapi/v1/server-…``; no routes at all without the flag."""
    router = APIRouter(prefix="/sdapi/v1", tags=["server"])
    if not context.flags.api_server_stop:
        return router

    @router.post("/server-kill")
    @router.post("/server-stop")
    async def stop() -> Response:
        """End the program as Ctrl+C does: this answer is still sent, waiting jobs stay stored."""
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        return SafeJSON("Stopping.")

    @router.post("/server-restart")
    async def restart() -> Response:
        """Always 501: the program does not start itself again."""
        return error_answer(
            501, "NotImplemented", "Easel does not start itself again; stop it and start it anew."
        )

    return router
