"""``/easel/v1/term-lists``: what prompts may not say."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response
from pydantic import BaseModel, Field

from modules.prompts.term_files import MAX_FILE_BYTES, TermLibrary
from modules.requests.errors import RequestError
from modules.web.context import AppContext
from modules.web.rest.answers import SafeJSON
from modules.web.rest.apply_settings import apply_settings

DISABLED = "disabled_term_lists"


class ListBody(BaseModel):
    """A list's new text, whether it is applied, or both."""

    text: str | None = Field(default=None, max_length=MAX_FILE_BYTES)
    enabled: bool | None = None


def term_list_router(context: AppContext) -> APIRouter:
    """Reading and changing the lists."""
    router = APIRouter(prefix="/easel/v1/term-lists", tags=["settings"])

    @router.get("")
    async def lists() -> Response:
        """All lists with the number of their terms."""
        return SafeJSON(await asyncio.to_thread(_all))

    @router.get("/{name:path}")
    async def text(name: str) -> Response:
        """The text of a list."""
        found = await asyncio.to_thread(_named, _library().text, name)
        if found is None:
            raise HTTPException(404, "There is no such term list.")
        return SafeJSON({"name": name, "text": found})

    @router.put("/{name:path}")
    async def save(name: str, body: ListBody) -> Response:
        """Write a list, or switch it on and off."""
        await asyncio.to_thread(_change, name, body)
        return SafeJSON(await asyncio.to_thread(_all))

    @router.delete("/{name:path}")
    async def delete(name: str) -> Response:
        """Remove a list."""
        _check_frozen()
        if not await asyncio.to_thread(_named, _library().delete, name):
            raise HTTPException(404, "There is no such term list.")
        await asyncio.to_thread(_switch, name, True)
        return SafeJSON(await asyncio.to_thread(_all))

    def _library() -> TermLibrary:
        library = context.jobs.preparer.terms
        if library is None:
            raise HTTPException(404, "This server has no term lists.")
        return library

    def _all() -> dict[str, Any]:
        off = set(context.options.get(DISABLED))
        return {
            "folder": _library().folder.name,
            "lists": [
                {
                    "name": one.name,
                    "terms": one.terms.count,
                    "enabled": one.name not in off,
                    "problem": one.problem,
                }
                for one in _library().lists()
            ],
        }

    def _change(name: str, body: ListBody) -> None:
        _check_frozen()
        if body.text is not None:
            _named(lambda chosen: _library().save(chosen, body.text or ""), name)
        elif _named(_library().text, name) is None:
            raise HTTPException(404, "There is no such term list.")
        if body.enabled is not None:
            _switch(name, body.enabled)

    def _switch(name: str, on: bool) -> None:
        off = [one for one in context.options.get(DISABLED) if one != name]
        apply_settings(context, {DISABLED: off if on else [*off, name]})

    def _check_frozen() -> None:
        if context.flags.freeze_settings:
            raise RequestError("settings", "", "they are frozen (--freeze-settings).")

    return router


def _named(act: Any, name: str) -> Any:
    """Do something with a list; its name and size may be impossible."""
    try:
        return act(name)
    except ValueError as error:
        raise RequestError("name", name, f"{error}.") from None
    except OSError as error:
        raise HTTPException(500, f"The list could not be kept: {error.strerror}.") from None
