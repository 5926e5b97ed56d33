"""A1111's ``/internal`` routes: is it up, how far is a task, what is this machine."""

from __future__ import annotations

import asyncio
import base64
import importlib.metadata
import os
import platform
import sys
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel

from modules.jobs.progress import ProgressSnapshot
from modules.jobs.records import FINISHED, QUEUED, RUNNING, UnknownJob
from modules.web.context import AppContext
from modules.web.rest.answers import SafeJSON
from modules.web.rest.models import ram_object

PACKAGES = ("torch", "diffusers", "transformers", "gradio", "fastapi", "pillow", "safetensors")


class ProgressBody(BaseModel):
    """The request of ``/internal/progress``."""

    id_task: str = ""
    id_live_preview: int = -1
    live_preview: bool = True


def internal_router(context: AppContext) -> APIRouter:
    """Routes that A1111's own page uses, and monitors."""
    router = APIRouter(prefix="/internal", tags=["internal"])
    jobs = context.jobs

    @router.get("/ping")
    async def ping() -> Response:
        """Answers when the page can be served."""
        return SafeJSON({})

    @router.get("/ready")
    async def ready() -> Response:
        """200 when the engine has a model loaded, else 503 with what it is doing."""
        body = {
            "ready": jobs.ready,
            "model": jobs.engine.model.to_json(),
            "engine": jobs.engine.engine_json(),
        }
        return SafeJSON(body, status_code=200 if jobs.ready else 503)

    @router.post("/progress")
    async def progress(body: ProgressBody) -> Response:
        """Progress of one task by its id."""
        try:
            snapshot = await asyncio.to_thread(jobs.snapshot, body.id_task)
        except UnknownJob:
            snapshot = ProgressSnapshot(text="Waiting...")
        return SafeJSON(task_object(snapshot, body))

    @router.get("/pending-tasks")
    async def pending_tasks() -> Response:
        """Ids of the tasks that wait or run."""
        tasks = [record.id for record in await asyncio.to_thread(jobs.queue)]
        return SafeJSON({"size": len(tasks), "tasks": tasks})

    @router.get("/sysinfo")
    async def sysinfo() -> Response:
        """This installation, for a bug report; nothing secret in it."""
        return SafeJSON(system_object(context), headers={"Content-Disposition": "inline"})

    @router.get("/sysinfo-download")
    async def sysinfo_download() -> Response:
        """The same as a file."""
        headers = {"Content-Disposition": 'attachment; filename="sysinfo.json"'}
        return SafeJSON(system_object(context), headers=headers)

    @router.get("/quicksettings-hint")
    async def quicksettings_hint() -> Response:
        """Keys and labels of all settings."""
        table = context.options.table
        return SafeJSON([{"name": key, "label": table[key].label} for key in table])

    return router


def task_object(snapshot: ProgressSnapshot, body: ProgressBody) -> dict[str, Any]:
    """A1111's answer about one task."""
    running = snapshot.state == RUNNING
    preview = None
    newer = snapshot.preview_id != body.id_live_preview
    if running and body.live_preview and snapshot.preview is not None and newer:
        data = base64.b64encode(snapshot.preview).decode("ascii")
        preview = f"data:{snapshot.preview_mime};base64,{data}"
    return {
        "active": running,
        "queued": snapshot.state == QUEUED,
        "completed": snapshot.state in FINISHED,
        "progress": round(snapshot.progress, 4) if running else None,
        "eta": snapshot.eta if running else None,
        "live_preview": preview,
        "id_live_preview": snapshot.preview_id if preview else body.id_live_preview,
        "textinfo": snapshot.text or None,
    }


def system_object(context: AppContext) -> dict[str, Any]:
    """Versions, machine, settings that differ from the defaults."""
    backend = context.jobs.backend.status
    return {
        "Platform": platform.platform(),
        "Python": platform.python_version(),
        "Version": context.version,
        "Commandline": sorted(
            key for key, value in context.flags.as_cmd_flags().items() if value not in (None, False)
        ),
        "Packages": {name: _version(name) for name in PACKAGES},
        "Engine": {
            "state": backend.state,
            "device": backend.device,
            "versions": backend.versions,
            "restarts": backend.restarts,
        },
        "Config": {
            key: value for key, value in context.options.changed().items() if "outdir" not in key
        },
        "RAM": ram_object(),
        "CPU": {"model": platform.processor(), "count": os.cpu_count()},
        "Extensions": [],
        "Executable": os.path.basename(sys.executable),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
