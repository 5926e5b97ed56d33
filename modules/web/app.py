"""The web application: the gate around REST, live channel, pictures and the Gradio page."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount

from modules.web.audit import FailedLogins
from modules.web.context import AppContext
from modules.web.exposure import gate_config
from modules.web.files.routes import file_router
from modules.web.gate import Gate, GateConfig
from modules.web.gate.login import is_api
from modules.web.gate.place import local_path
from modules.web.gradio_door import GradioDoor
from modules.web.gzip import SelectiveGZip
from modules.web.live.channel import live_router
from modules.web.page_policy import PagePolicy
from modules.web.rest.answers import SafeJSON, install_error_answers
from modules.web.rest.cards import card_router
from modules.web.rest.docs_page import docs_router
from modules.web.rest.downloads import download_router
from modules.web.rest.easel_batch import batch_router
from modules.web.rest.easel_forms import form_router
from modules.web.rest.easel_jobs import job_router
from modules.web.rest.easel_models import easel_model_router
from modules.web.rest.easel_pausing import pausing_router
from modules.web.rest.extensions import extension_router
from modules.web.rest.extra_networks import extra_network_router
from modules.web.rest.extras import extras_router
from modules.web.rest.generation import generation_router
from modules.web.rest.inputs import input_router
from modules.web.rest.internal import internal_router
from modules.web.rest.interrogate import interrogate_router
from modules.web.rest.ledger import ledger_router
from modules.web.rest.lists import list_router
from modules.web.rest.models import model_router
from modules.web.rest.pictures import picture_router
from modules.web.rest.provenance import provenance_router
from modules.web.rest.replay import replay_router
from modules.web.rest.scripts import script_router
from modules.web.rest.settings import settings_router
from modules.web.rest.stopping import stop_router
from modules.web.rest.term_lists import term_list_router
from modules.web.safe_mode import safe_mode_router
from modules.web.selftest import selftest_router

if TYPE_CHECKING:
    import gradio

log = logging.getLogger("easel.web")
api_log = logging.getLogger("easel.api")

Application = Callable[[MutableMapping[str, Any], Callable, Callable], Awaitable[None]]

QUEUE_SECONDS = 0.05
"""Seconds between two looks at Gradio's event queue."""

ROUTERS = (
    internal_router,
    generation_router,
    extras_router,
    list_router,
    script_router,
    settings_router,
    stop_router,
    model_router,
    picture_router,
    provenance_router,
    term_list_router,
    interrogate_router,
    input_router,
    job_router,
    batch_router,
    pausing_router,
    replay_router,
    easel_model_router,
    form_router,
    card_router,
    download_router,
    ledger_router,
    extra_network_router,
    extension_router,
    file_router,
    live_router,
    safe_mode_router,
    selftest_router,
)


def create_app(context: AppContext, gate: GateConfig | None = None) -> Application:
    """The whole application; its shutdown ends the jobs and the engine.

    ``gate`` replaces what the command line asks for.
    """
    app = FastAPI(
        title="Easel",
        version=context.version,
        description="AUTOMATIC1111's API, and Easel's own below /easel/v1.",
        docs_url=None,
        redoc_url=None,
        default_response_class=SafeJSON,
        lifespan=_lifespan(context),
    )
    app.state.context = context
    install_error_answers(app)
    _allow_origins(app, context)
    if context.flags.api_log:
        _log_calls(app)
    plugins = context.plugins
    if plugins is not None:
        quiet_gradio(context)
        plugins.load(context)
        app.include_router(plugins.router(context))
    for router in ROUTERS:
        app.include_router(router(context))
    app.include_router(docs_router(app))
    inner: Application = app
    if not context.flags.nowebui:
        inner = _with_page(app, context)
    elif plugins is not None:
        plugins.started(None, app)
    return Gate(SelectiveGZip(inner), _with_settings(gate or gate_config(context.flags), context))


def _with_settings(gate: GateConfig, context: AppContext) -> GateConfig:
    """The gate's rules with the bounds that the settings name at start."""
    rate = float(context.options["max_requests_per_second"])
    clients = replace(gate.clients, per_second=rate, burst=10 * rate)
    size = int(context.options["max_request_mb"]) * 1024 * 1024
    return replace(
        gate,
        clients=clients,
        max_body_bytes=size,
        extensions_from_anywhere=context.flags.enable_insecure_extension_access,
        failed_login=FailedLogins(context.audit),
    )


def _lifespan(context: AppContext) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager]:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if context.starts is not None:
            context.starts.finished()
        yield
        context.selftest.stop()
        await asyncio.to_thread(context.jobs.stop)
        await asyncio.to_thread(context.downloads.stop)
        await asyncio.to_thread(context.catalog.stop)

    return lifespan


def _allow_origins(app: FastAPI, context: AppContext) -> None:
    """CORS only as far as the user asked; being there at all keeps Gradio from adding its own."""
    listed = (context.flags.cors_allow_origins or "").split(",")
    origins = [origin.strip() for origin in listed if origin.strip()]
    pattern = context.flags.cors_allow_origins_regex
    asked = bool(origins or pattern)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_origin_regex=pattern,
        allow_methods=["*"] if asked else [],
        allow_headers=["*"] if asked else [],
        allow_credentials=asked,
    )


def _log_calls(app: FastAPI) -> None:
    @app.middleware("http")
    async def call(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
        begun = time.perf_counter()
        response = await proceed(request)
        if is_api(local_path(request.scope)):
            took = time.perf_counter() - begun
            api_log.info(
                "%s %s %d %.3f s",
                request.method,
                ascii(request.url.path),
                response.status_code,
                took,
            )
        return response


def quiet_gradio(context: AppContext) -> None:
    """Gradio must not phone home, nor be opened up by variables left in the environment."""
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_RUN_HISTORY"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(context.paths.cache / "gradio")
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def _with_page(app: FastAPI, context: AppContext) -> Application:
    if importlib.util.find_spec("modules.web.pages.blocks") is None:
        log.warning("the page is not part of this installation")
        return app
    quiet_gradio(context)
    from modules.web.pages import PageShell, TrustedScripts, build, mount_arguments, router

    blocks = build(context)
    plugins = context.plugins
    scripts = TrustedScripts.of(blocks, plugins.event_scripts() if plugins else ())
    if scripts.foreign:
        log.warning("a template with expressions makes the page's policy allow evaluation")
    app.include_router(router(context, scripts))
    mount_page(app, blocks, context.paths.cache / "gradio", **mount_arguments(context))
    if plugins is not None:
        plugins.started(blocks, app)
    return PagePolicy(PageShell(app, context, scripts), evaluates=bool(scripts.foreign))


def mount_page(app: FastAPI, blocks: gradio.Blocks, uploads: Path, **arguments: Any) -> None:
    """Put Gradio's page at the top of the application, with its checks on and our door before it.

    ``uploads`` is the folder that Gradio keeps uploaded files in.
    """
    import gradio

    gradio.mount_gradio_app(app, blocks, path="/", **arguments)
    mount = app.routes[-1]
    if not isinstance(mount, Mount):
        raise TypeError("Gradio is not where it was expected")
    mount.app = GradioDoor(mount.app, uploads)
    # A mounted Gradio checks that a submitted path was really uploaded only when this is set.
    blocks.has_launched = True
    # Jobs do not use Gradio's queue; looking at it 1000 times a second costs 5 % of a core.
    blocks._queue.sleep_when_free = QUEUE_SECONDS
