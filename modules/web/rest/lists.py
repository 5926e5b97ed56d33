"""The lists of ``/sdapi/v1``: samplers, models, styles, in A1111's shapes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from modules.catalog.networks import EmbeddingInfo
from modules.catalog.restorers import list_restorers
from modules.catalog.text_widths import text_widths
from modules.catalog.upscalers import UpscalerInfo
from modules.requests.latent_upscaling import LATENT_UPSCALINGS
from modules.requests.plans import PlannedScript
from modules.requests.samplers import SAMPLERS, SCHEDULERS
from modules.requests.scripts import SCRIPTS, Script
from modules.web.context import AppContext
from modules.web.rest.answers import SafeJSON

PLAIN_SCALE = 4
"""What A1111 says of upscalers that take any scale."""


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
    modes = [{"name": entry.name} for entry in LATENT_UPSCALINGS]
    constant("/latent-upscale-modes", modes, "Latent upscaling")
    scripts = [*SCRIPTS, *planned_scripts(context)]

    @router.get("/scripts", name="scripts")
    async def names() -> Response:
        """Names of scripts, those of extensions too."""
        found = script_names(scripts)
        if context.plugins is not None:
            for kind, listed in found.items():
                listed += [row["name"] for row in context.plugins.script_info(kind)]
        return SafeJSON(found)

    @router.get("/script-info")
    async def script_info() -> Response:
        """Controls of scripts, those of extensions too."""
        rows = [script_row(script) for script in scripts]
        if context.plugins is not None:
            for kind in ("txt2img", "img2img"):
                rows += context.plugins.script_info(kind)
        return SafeJSON(rows)

    @router.get("/upscalers")
    async def upscalers() -> Response:
        """Upscalers: "None" first, then Lanczos, Nearest and the models."""
        infos = await asyncio.to_thread(context.catalog.upscalers)
        return SafeJSON([upscaler_row(info) for info in infos if not info.hidden])

    @router.get("/realesrgan-models")
    async def realesrgan_models() -> Response:
        """The upscalers that Real-ESRGAN's own package runs."""
        infos = await asyncio.to_thread(context.catalog.upscalers)
        return SafeJSON([realesrgan_row(info) for info in infos if is_realesrgan(info)])

    @router.get("/face-restorers")
    async def face_restorers() -> Response:
        """Face restorers and the folders of their files."""
        infos = await asyncio.to_thread(list_restorers, context.paths)
        return SafeJSON([{"name": i.name, "cmd_dir": str(i.path.parent)} for i in infos])

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
        """Textual inversions: those that fit the chosen checkpoint, and those that are skipped."""
        return SafeJSON(await asyncio.to_thread(embedding_lists, context))

    @router.get("/hypernetworks")
    async def hypernetworks() -> Response:
        """Hypernetworks."""
        found = await asyncio.to_thread(context.catalog.hypernetworks)
        return SafeJSON([{"name": i.name, "path": str(i.path)} for i in found if not i.problem])

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


def upscaler_row(info: UpscalerInfo) -> dict[str, Any]:
    """An upscaler as A1111 lists it."""
    model = info.kind == "model"
    return {
        "name": info.name,
        "model_name": info.architecture or info.name if model else None,
        "model_path": str(info.path) if model and info.path else None,
        "model_url": None,
        "scale": info.scale if model else PLAIN_SCALE,
    }


def is_realesrgan(info: UpscalerInfo) -> bool:
    """Whether A1111 counts an upscaler among the Real-ESRGAN models."""
    return info.architecture == "Real-ESRGAN" and not info.hidden


def realesrgan_row(info: UpscalerInfo) -> dict[str, Any]:
    """A Real-ESRGAN model as A1111 lists it; the address of its file while that is not here."""
    path = str(info.path) if info.present and info.path else info.url
    return {"name": info.name, "path": path, "scale": info.scale}


def planned_scripts(context: AppContext) -> list[PlannedScript]:
    """The scripts that make one job of many units."""
    planner = context.jobs.preparer.planner
    return [] if planner is None else list(planner.scripts)


def script_names(scripts: Iterable[Script | PlannedScript]) -> dict[str, list[str]]:
    """Names of scripts by tab."""
    scripts = list(scripts)
    return {
        kind: [script.name for script in scripts if kind in script.kinds]
        for kind in ("txt2img", "img2img")
    }


def script_row(script: Script | PlannedScript) -> dict[str, Any]:
    """A script's controls as A1111 lists them."""
    return {
        "name": script.name,
        "is_alwayson": isinstance(script, Script) and script.alwayson,
        "is_img2img": "img2img" in script.kinds,
        "args": [argument.to_json() for argument in script.arguments],
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


def embedding_lists(context: AppContext) -> dict[str, dict[str, Any]]:
    """Textual inversions by name; those that are skipped have the reason beside A1111's keys."""
    widths = text_widths(context.catalog.default_checkpoint())
    loaded: dict[str, Any] = {}
    skipped: dict[str, Any] = {}
    for info in context.catalog.embeddings():
        reason = info.misfit(widths)
        if reason:
            skipped[info.name] = {**embedding_row(info), "reason": reason}
        else:
            loaded[info.name] = embedding_row(info)
    return {"loaded": loaded, "skipped": skipped}


def embedding_row(info: EmbeddingInfo) -> dict[str, Any]:
    """A textual inversion as A1111 lists it."""
    return {
        "step": info.step,
        "sd_checkpoint": info.checkpoint,
        "sd_checkpoint_name": info.checkpoint_name,
        "shape": info.width,
        "vectors": info.vectors,
    }
