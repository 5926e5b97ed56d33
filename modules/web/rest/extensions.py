"""``/easel/v1/extensions``: looking at, installing, updating, switching and removing extensions.

The gate lets this machine alone change anything here; the manager behind refuses once more, whoever
asks, while the server is open to others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel

from modules.requests.generation import Name
from modules.web.context import AppContext
from modules.web.extension_desk import Declined, ExtensionDesk
from modules.web.rest.answers import SafeJSON, error_answer
from modules.web.safe_mode import begin_again


class LookBody(BaseModel):
    """Where an extension comes from; an empty folder is named after the repository."""

    url: Name
    folder: Name = ""
    branch: Name = ""


class TokenBody(BaseModel):
    """What was looked at."""

    token: Name
    build: bool = False
    """Packages may be built from source, which runs their code."""


class InstallBody(TokenBody):
    """What was looked at, and what somebody agreed to."""

    install: bool = False
    """Consent to the extension itself, at the commit that was shown."""
    packages: bool = False
    """Consent to the packages of its requirements.txt."""
    installer: bool = False
    """Consent to running its install.py."""


class SwitchBody(BaseModel):
    """On or off."""

    on: bool


class SwitchAllBody(BaseModel):
    """``none``, ``extra`` or ``all``."""

    off: Name


class RemoveBody(BaseModel):
    """What goes with it."""

    packages: bool = False
    """Take back what its installation changed in the environment, too."""


class IndexBody(BaseModel):
    """The address of a list; empty for the one that comes with Easel."""

    url: Name = ""


class NameBody(BaseModel):
    """A name for people."""

    name: Name = ""


def extension_router(context: AppContext) -> APIRouter:
    """Everything about extensions."""
    router = APIRouter(tags=["extensions"])

    async def answer(ask: Callable[[ExtensionDesk], Any]) -> Response:
        desk = context.extensions
        if desk is None:
            return error_answer(501, "NotImplemented", "This start knows no extensions.")
        try:
            return SafeJSON(await asyncio.to_thread(ask, desk))
        except Declined as error:
            return error_answer(error.status, "Declined", str(error))

    @router.get("/sdapi/v1/extensions")
    async def a1111() -> Response:
        """All extensions as AUTOMATIC1111 lists them."""
        if context.extensions is None:
            return SafeJSON([])
        return await answer(lambda desk: desk.a1111_rows())

    _looking(router, answer)
    _changing(router, answer)
    _keeping(router, answer)

    @router.post("/easel/v1/extensions/restart")
    async def restart() -> Response:
        """Start the program again, so that changes act; waiting jobs stay stored."""
        return begin_again(context)

    return router


Answer = Callable[[Callable[[ExtensionDesk], Any]], Any]
PREFIX = "/easel/v1/extensions"


def _looking(router: APIRouter, answer: Answer) -> None:
    @router.get(PREFIX)
    async def listed() -> Response:
        """All extensions, whether they may be changed here, and whether a restart is due."""
        return await answer(lambda desk: desk.overview())

    @router.post(f"{PREFIX}/look")
    async def look(body: LookBody) -> Response:
        """Fetch a repository and say what is in it; nothing of it is executed."""
        return await answer(lambda desk: desk.look(body.url, body.folder, body.branch))

    @router.post(f"{PREFIX}/packages")
    async def packages(body: TokenBody) -> Response:
        """What the packages of a repository that was looked at would change."""
        return await answer(lambda desk: desk.packages(body.token, body.build))

    @router.post(f"{PREFIX}/index")
    async def index(body: IndexBody) -> Response:
        """The curated list of extensions, or the one behind an address."""
        return await answer(lambda desk: desk.index(body.url))


def _changing(router: APIRouter, answer: Answer) -> None:
    @router.post(f"{PREFIX}/install")
    async def install(body: InstallBody) -> Response:
        """Put what was looked at in its place; needs the consent to do so."""
        if not body.install:
            return _no_consent()
        return await answer(
            lambda desk: desk.install(body.token, body.packages, body.installer, body.build)
        )

    @router.post(f"{PREFIX}/off")
    async def switch_all(body: SwitchAllBody) -> Response:
        """Have none, all or all but Easel's own off, whatever their own switches say."""
        return await answer(lambda desk: desk.switch_all(body.off))

    @router.post(f"{PREFIX}/installed/{{name}}/check")
    async def check(name: Name) -> Response:
        """Whether there is a newer version, and which files it changes."""
        return await answer(lambda desk: desk.look_for_update(name))

    @router.post(f"{PREFIX}/installed/{{name}}/update")
    async def update(name: Name, body: InstallBody) -> Response:
        """Bring an extension to the version that was looked at; needs the consent to do so."""
        if not body.install:
            return _no_consent()
        return await answer(
            lambda desk: desk.update(name, body.token, body.packages, body.installer, body.build)
        )

    @router.post(f"{PREFIX}/installed/{{name}}/switch")
    async def switch(name: Name, body: SwitchBody) -> Response:
        """Switch an extension on or off."""
        return await answer(lambda desk: desk.switch(name, body.on))

    @router.post(f"{PREFIX}/installed/{{name}}/remove")
    async def remove(name: Name, body: RemoveBody) -> Response:
        """Delete an extension's folder with all that is in it."""
        return await answer(lambda desk: desk.remove(name, body.packages))


def _keeping(router: APIRouter, answer: Answer) -> None:
    @router.get(f"{PREFIX}/states")
    async def states() -> Response:
        """The states of all extensions that were kept."""
        return await answer(lambda desk: desk.states())

    @router.post(f"{PREFIX}/states")
    async def keep(body: NameBody) -> Response:
        """Write down which extensions there are, and at which commits."""
        return await answer(lambda desk: desk.keep_state(body.name))

    @router.post(f"{PREFIX}/states/{{file}}/look")
    async def plan(file: Name) -> Response:
        """What going back to a kept state would change."""
        return await answer(lambda desk: desk.plan_state(file))

    @router.post(f"{PREFIX}/states/{{file}}/restore")
    async def restore(file: Name) -> Response:
        """Go back to a kept state, as far as the extensions in it are installed."""
        return await answer(lambda desk: desk.restore_state(file))

    @router.delete(f"{PREFIX}/states/{{file}}")
    async def forget(file: Name) -> Response:
        """Delete a kept state."""
        return await answer(lambda desk: desk.forget_state(file))


def _no_consent() -> Response:
    sentence = "install: an extension is its maker's code; say install: true to agree to it."
    return error_answer(422, "RequestError", sentence, field="install", value=False)
