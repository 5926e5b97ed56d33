"""The lists of ``/sdapi/v1``: samplers, models, styles, in A1111's shapes."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from modules.requests.samplers import SAMPLERS, SCHEDULERS
from modules.web.context import AppContext
from modules.web.rest.answers import SafeJSON

LATENT_MODES = (
    "Latent",
    "Latent (antialiased)",
    "Latent (bicubic)",
    "Latent (bicubic antialiased)",
    "Latent (nearest)",
    "Latent (nearest-exact)",
)
UPSCALERS = (("None", 4), ("Lanczos", 4), ("Nearest", 4))
"""Names and scales; clients rely on "None" being the first."""


def list_router(context: AppContext) -> APIRouter:
    """Everything a client asks for to fill its drop-downs."""
    router = APIRouter(prefix="/sdapi/v1", tags=["lists"])

    def constant(path: str, content: Any, summary: str) -> None:
        async def handler() -> Response:
            return SafeJSON(content)

        name = path.strip("/").replace("-", "_")
        router.add_api_route(path, handler, methods=["GET"], summary=summary, name=name)

    constant("/samplers", [sampler_row(sampler) for sampler in SAMPLERS], "Samplers")
    constant("/schedulers", [scheduler_row(scheduler) for scheduler in SCHEDULERS], "Schedulers")
    constant("/upscalers", [upscaler_row(*entry) for entry in UPSCALERS], "Upscalers")
    constant("/latent-upscale-modes", [{"name": name} for name in LATENT_MODES], "Latent upscaling")
    constant("/hypernetworks", [], "Hypernetworks")
    constant("/face-restorers", [], "Face restorers")
    constant("/realesrgan-models", [], "Real-ESRGAN models")
    constant("/scripts", {"txt2img": [], "img2img": []}, "Names of scripts")
    constant("/script-info", [], "Controls of scripts")
    constant("/extensions", [], "Extensions")

    @router.get("/sd-models")
    async def sd_models() -> Response:
        """Checkpoints."""
        infos = await asyncio.to_thread(context.catalog.checkpoints)
        return SafeJSON([checkpoint_row(info) for info in infos])

    @router.get("/sd-vae")
    async def sd_vae() -> Response:
        """Separate VAE files."""
        vaes = await asyncio.to_thread(context.catalog.vaes)
        return SafeJSON([{"model_name": vae.name, "filename": str(vae.path)} for vae in vaes])

    @router.get("/prompt-styles")
    async def prompt_styles() -> Response:
        """Styles of styles.csv."""
        styles = await asyncio.to_thread(context.styles.list)
        return SafeJSON([style_row(style) for style in styles])

    @router.get("/embeddings")
    async def embeddings() -> Response:
        """Textual inversions: those that can be used, and those that are skipped."""
        found = await asyncio.to_thread(context.catalog.embeddings)
        rows = {info.name: embedding_row(info) for info in found}
        good = {info.name for info in found if not info.problem}
        return SafeJSON(
            {
                "loaded": {name: row for name, row in rows.items() if name in good},
                "skipped": {name: row for name, row in rows.items() if name not in good},
            }
        )

    @router.get("/loras")
    async def loras() -> Response:
        """LoRA files."""
        found = await asyncio.to_thread(context.catalog.loras)
        return SafeJSON(
            [
                {
                    "name": info.name,
                    "alias": info.alias,
                    "path": str(info.path),
                    "metadata": dict(info.metadata),
                }
                for info in found
                if not info.problem
            ]
        )

    return router


def sampler_row(sampler: Any) -> dict[str, Any]:
    """A sampler as A1111 lists it."""
    return {
        "name": sampler.name,
        "aliases": list(sampler.aliases),
        "options": dict(sampler.options),
    }


def scheduler_row(scheduler: Any) -> dict[str, Any]:
    """A schedule type as A1111 lists it."""
    return {
        "name": scheduler.name,
        "label": scheduler.label,
        "aliases": list(scheduler.aliases) or None,
        "default_rho": scheduler.default_rho,
        "need_inner_model": scheduler.need_inner_model,
    }


def upscaler_row(name: str, scale: int) -> dict[str, Any]:
    """An upscaler as A1111 lists it."""
    return {
        "name": name,
        "model_name": None,
        "model_path": None,
        "model_url": None,
        "scale": scale,
    }


def checkpoint_row(info: Any) -> dict[str, Any]:
    """A checkpoint as A1111 lists it."""
    return {
        "title": info.title,
        "model_name": info.model_name,
        "hash": info.hash,
        "sha256": info.sha256,
        "filename": info.filename,
        "config": str(info.config) if info.config else None,
    }


def style_row(style: Any) -> dict[str, Any]:
    """A style as A1111 lists it."""
    return {
        "name": style.name,
        "prompt": style.prompt,
        "negative_prompt": style.negative_prompt,
    }


def embedding_row(info: Any) -> dict[str, Any]:
    """A textual inversion as A1111 lists it."""
    return {
        "step": None,
        "sd_checkpoint": None,
        "sd_checkpoint_name": None,
        "shape": info.width,
        "vectors": info.vectors,
    }
