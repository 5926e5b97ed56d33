"""The page's own addresses: scripts and styles, texts, and what the form needs to start."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from modules.web.exposure import asks_for_login
from modules.web.pages import assets, state
from modules.web.pages.keeping import keeping_router
from modules.web.pages.translations import (
    FALLBACK,
    LANGUAGES,
    gradio_locale,
    script_texts,
)
from modules.web.pages.trusted import PATH, TrustedScripts

_FOREVER = "public, max-age=31536000, immutable"


def router(context: Any, scripts: TrustedScripts) -> APIRouter:
    """Routes below ``/easel/``; included before Gradio is mounted."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(assets.PREFIX + "/{version}/{name:path}")
    def static_file(version: str, name: str) -> Response:
        path = assets.find(name)
        if path is None:
            return Response("no such file", status_code=404, media_type="text/plain")
        current = version == assets.version()
        headers = {"cache-control": _FOREVER if current else "no-cache"}
        return FileResponse(path, media_type=assets.TYPES[path.suffix], headers=headers)

    @routes.get("/easel/boot.js")
    def boot(request: Request, lang: str = FALLBACK, v: str = "") -> Response:
        language = lang if lang in LANGUAGES else FALLBACK
        config = {
            "language": language,
            "locale": gradio_locale(language),
            "languages": LANGUAGES,
            "texts": script_texts(language),
            "version": getattr(context, "version", ""),
            "assets": assets.version(),
            "login": asks_for_login(context.flags),
        }
        script = (assets.STATIC / "boot.js").read_text(encoding="utf-8")
        text = f"window.EASEL_CONFIG = {json.dumps(config, ensure_ascii=False)};\n{script}"
        current = v == assets.version()
        headers = {"cache-control": _FOREVER if current else "no-cache"}
        return Response(text, media_type=assets.TYPES[".js"], headers=headers)

    @routes.get(PATH)
    def trusted(v: str = "") -> Response:
        headers = {"cache-control": _FOREVER if v == scripts.version else "no-cache"}
        return Response(scripts.text, media_type=assets.TYPES[".js"], headers=headers)

    @routes.get("/easel/page/state")
    def page_state() -> dict[str, Any]:
        return state.page_state(context)

    routes.include_router(keeping_router(context))
    return routes
