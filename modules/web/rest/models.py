"""Refreshing lists, loading and unloading, and memory: ``/sdapi/v1``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from modules.jobs.models import LoadFailed
from modules.web.context import AppContext
from modules.web.rest.answers import SafeJSON, error_answer

MEMORY_SECONDS = 3.0


def model_router(context: AppContext) -> APIRouter:
    """Model files and the memory they take."""
    router = APIRouter(prefix="/sdapi/v1", tags=["models"])

    async def refreshed() -> Response:
        await asyncio.to_thread(refresh_catalog, context)
        return SafeJSON(None)

    for name in ("checkpoints", "vae", "embeddings", "loras"):
        router.add_api_route(
            f"/refresh-{name}",
            refreshed,
            methods=["POST"],
            summary=f"Look for new files ({name})",
            name=f"refresh_{name}",
        )

    async def task(work: Callable[[], Any]) -> Response:
        try:
            await asyncio.wrap_future(context.jobs.between_jobs(work))
        except LoadFailed as error:
            return error_answer(500, "EngineError", str(error))
        return SafeJSON({})

    @router.post("/unload-checkpoint")
    async def unload() -> Response:
        """Free the model's memory; the next job loads it again."""
        return await task(context.jobs.models.unload)

    @router.post("/reload-checkpoint")
    async def reload() -> Response:
        """Load the chosen checkpoint again."""
        return await task(context.jobs.models.load_chosen)

    @router.get("/memory")
    async def memory() -> Response:
        """Memory of this machine and of the device."""
        cuda: dict[str, Any] = {"error": "unavailable"}
        device = context.jobs.backend.status.device
        if device.startswith("cuda") and not context.jobs.busy:
            reply = await asyncio.to_thread(
                context.jobs.backend.request, "memory", timeout=MEMORY_SECONDS
            )
            cuda = reply.payload.get("cuda") or cuda if reply.ok else cuda
        return SafeJSON({"ram": ram_object(), "cuda": cuda})

    return router


def refresh_catalog(context: AppContext) -> None:
    """Look at the disk again, hash what is new, and tell the pages."""
    context.catalog.refresh()
    context.catalog.hash_in_background(
        lambda info: context.jobs.fanout.publish({"type": "catalog"})
    )
    context.jobs.fanout.publish({"type": "catalog"})


def ram_object() -> dict[str, Any]:
    """Main memory in bytes, as A1111 reports it (used: by this process)."""
    try:
        import psutil
    except ImportError:
        return {"error": "unavailable"}
    total = psutil.virtual_memory().total
    used = psutil.Process().memory_info().rss
    return {"free": psutil.virtual_memory().available, "used": used, "total": total}
