"""The buttons under a picture that need the server: keep a copy, show its folder on the screen."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel

from modules.gallery import keeping_log
from modules.jobs.records import ImageRecord
from modules.settings import atomic
from modules.web.exposure import is_open
from modules.web.files.reading import PictureGone, allowed_roots, read_picture

IMAGE_ID = re.compile(r"[0-9a-f]{32}")
MOST_COPIES = 1000
"""Copies of one name before saving gives up."""


class ImageBody(BaseModel):
    """A picture of the gallery."""

    image_id: str


def keeping_router(context: Any) -> APIRouter:
    """The two routes."""
    routes = APIRouter(prefix="/easel/page", include_in_schema=False)

    @routes.post("/save-picture")
    async def save_picture(body: ImageBody) -> dict[str, str]:
        record = _find(context, body.image_id)
        path = await asyncio.to_thread(_keep, context, record)
        return {"path": str(path)}

    @routes.post("/open-folder")
    async def show_folder(body: ImageBody, request: Request) -> dict[str, bool]:
        host = request.client.host if request.client else ""
        if not can_open_folders(context.flags) or host not in ("127.0.0.1", "::1"):
            raise HTTPException(403, "Folders can be opened only on the machine of the server.")
        folder = _folder_of(context, _find(context, body.image_id))
        await asyncio.to_thread(_show, folder)
        return {"opened": True}

    return routes


def can_open_folders(flags: Any) -> bool:
    """Whether the server runs where its user sits: on a desktop, unreachable from elsewhere."""
    return not is_open(flags) and not flags.hide_ui_dir_config and _opener() is not None


def _opener() -> list[str] | None:
    """The desktop's own command that shows a folder."""
    if os.name == "nt":
        return ["explorer"]
    if sys.platform == "darwin":
        return ["open"]
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    found = shutil.which("xdg-open") if screen else None
    return [found] if found else None


def _find(context: Any, image_id: str) -> ImageRecord:
    record = context.jobs.store.image(image_id) if IMAGE_ID.fullmatch(image_id) else None
    if record is None:
        raise HTTPException(404, "There is no such image.")
    return record


def _keep(context: Any, record: ImageRecord) -> Path:
    """A copy in the folder of the setting ``outdir_save``, with its row in the folder's log."""
    try:
        data, _ = read_picture(context, record)
    except PictureGone as error:
        raise HTTPException(404, str(error)) from None
    folder = context.paths.data / Path(str(context.options.get("outdir_save"))).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path, new = _written(folder, Path(record.name), data)
        if new and context.options.get("save_write_log_csv"):
            keeping_log.add_row(folder, path.name, record.infotext)
    except OSError as error:
        raise HTTPException(500, f"The picture could not be saved: {error.strerror}.") from None
    return path


def _written(folder: Path, name: Path, data: bytes) -> tuple[Path, bool]:
    """The copy's path, under the picture's own name or a numbered one, and whether it is new."""
    for number in range(MOST_COPIES):
        path = folder / (f"{name.stem}-{number}{name.suffix}" if number else name.name)
        try:
            atomic.write_new(path, data)
        except FileExistsError:
            if path.read_bytes() == data:
                return path, False
            continue
        return path, True
    raise HTTPException(409, f"The folder {folder} holds too many pictures of this name.")


def _folder_of(context: Any, record: ImageRecord) -> Path:
    folder = Path(record.path).parent.resolve() if record.path else None
    roots = allowed_roots(context, record.job)
    if folder is None or not any(folder.is_relative_to(root) for root in roots):
        raise HTTPException(404, "This image does not lie in a folder.")
    return folder


def _show(folder: Path) -> None:
    command = _opener()
    if command is not None:
        subprocess.Popen([*command, str(folder)], stdin=subprocess.DEVNULL)
