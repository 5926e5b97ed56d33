"""``/easel/v1`` for the page's forms: prompts, pictures' parameters, styles, settings, models."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from modules.jobs.models import LoadFailed
from modules.prompts import Style
from modules.requests.errors import RequestError
from modules.requests.generation import Name, Prompt
from modules.requests.samplers import SAMPLERS
from modules.settings.options import Option
from modules.web.context import AppContext
from modules.web.files.reading import PictureGone, read_picture
from modules.web.rest.answers import SafeJSON, error_answer
from modules.web.rest.apply_settings import CHECKPOINT, Applied, apply_settings
from modules.web.rest.card_objects import checkpoint_previews, family_label
from modules.web.rest.lists import style_row
from modules.web.rest.models import refresh_catalog
from modules.web.rest.pictures import info_object, info_of_bytes, picture_bytes, text_object
from modules.web.rest.prompt_check import PromptBody, check_prompts

HIDEABLE_TABS = ("txt2img", "PNG Info", "Models", "Queue")
"""Not the settings, or nobody could bring a tab back."""


class StyleBody(BaseModel):
    """A style's texts, and its new name if it gets one."""

    prompt: Prompt = ""
    negative_prompt: Prompt = ""
    new_name: Name | None = None


class KeysBody(BaseModel):
    """Keys of settings."""

    keys: list[Name] = Field(max_length=1000)


class LoadBody(BaseModel):
    """A checkpoint's title or name."""

    checkpoint: Name


def form_router(context: AppContext) -> APIRouter:
    """Routes behind the page's forms."""
    router = APIRouter(prefix="/easel/v1", tags=["forms"])

    @router.post("/prompt/check")
    async def check(body: PromptBody) -> Response:
        """Tokens and remarks for a prompt while it is typed."""
        return SafeJSON(await asyncio.to_thread(check_prompts, context, body))

    @router.post("/image-info")
    async def image_info(request: Request) -> Response:
        """What a picture (raw bytes, base64 or id) or a pasted text says."""
        data = await request.body()
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return SafeJSON(await asyncio.to_thread(_info_of_file, data))
        return SafeJSON(await asyncio.to_thread(_info_of_json, data))

    def _info_of_file(data: bytes) -> dict[str, Any]:
        return info_object(context, info_of_bytes(data))

    def _info_of_json(data: bytes) -> dict[str, Any]:
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            raise RequestError("body", "", "it is no JSON.") from None
        if not isinstance(body, dict):
            raise RequestError("body", "", "allowed: an object with image, image_id or text.")
        if isinstance(body.get("text"), str):
            return text_object(context, body["text"])
        if isinstance(body.get("image_id"), str):
            return _info_of_file(_picture(body["image_id"]))
        if isinstance(body.get("image"), str):
            return _info_of_file(picture_bytes(context, body["image"]))
        raise RequestError("body", "", "allowed: an object with image, image_id or text.")

    def _picture(image_id: str) -> bytes:
        record = context.jobs.store.image(image_id)
        if record is None:
            raise HTTPException(404, "There is no such image.")
        try:
            return read_picture(context, record)[0]
        except PictureGone as error:
            raise HTTPException(404, str(error)) from None

    # ---- styles

    @router.get("/styles")
    async def styles() -> Response:
        """All styles."""
        found = await asyncio.to_thread(context.styles.list)
        return SafeJSON({"styles": [style_row(style) for style in found]})

    @router.put("/styles/{name:path}")
    async def save_style(name: str, body: StyleBody) -> Response:
        """Add or change a style."""
        new = (body.new_name or name).strip()
        if not new or len(new) > 200:
            raise RequestError("name", new, "a style needs a name of 1 to 200 characters.")
        style = Style(new, body.prompt, body.negative_prompt)
        await asyncio.to_thread(context.styles.save, style)
        if new != name:
            await asyncio.to_thread(context.styles.delete, name)
        return SafeJSON(style_row(style))

    @router.delete("/styles/{name:path}")
    async def delete_style(name: str) -> Response:
        """Remove a style."""
        if not await asyncio.to_thread(context.styles.delete, name):
            raise HTTPException(404, "There is no such style.")
        return SafeJSON({"deleted": True})

    # ---- settings

    @router.get("/settings")
    async def settings() -> Response:
        """All settings with their rows, grouped as the page shows them."""
        return SafeJSON(await asyncio.to_thread(settings_object, context))

    @router.put("/settings")
    async def change_settings(values: dict[str, Any]) -> Response:
        """Change settings, all or nothing; a new checkpoint is loaded in the background."""
        return SafeJSON(applied_object(await asyncio.to_thread(apply_settings, context, values)))

    @router.post("/settings/reset")
    async def reset_settings(body: KeysBody) -> Response:
        """Give settings their defaults back."""
        table = context.options.table
        values = {key: table[key].default for key in body.keys if key in table}
        return SafeJSON(applied_object(await asyncio.to_thread(apply_settings, context, values)))

    # ---- models

    @router.get("/models")
    async def models() -> Response:
        """Checkpoints, VAEs, and what is loaded."""
        return SafeJSON(await asyncio.to_thread(models_object, context))

    @router.post("/models/load")
    async def load_model(body: LoadBody) -> Response:
        """Choose a checkpoint; it is loaded in the background."""
        applied = await asyncio.to_thread(apply_settings, context, {CHECKPOINT: body.checkpoint})
        if applied.loading is None and context.jobs.engine.loaded.state != "ready":
            context.jobs.between_jobs(context.jobs.models.load_chosen)
        return SafeJSON(context.jobs.engine.model.to_json())

    @router.post("/models/refresh")
    async def refresh() -> Response:
        """Look for new files."""
        await asyncio.to_thread(refresh_catalog, context)
        return SafeJSON(await asyncio.to_thread(models_object, context))

    @router.post("/models/cancel")
    async def cancel() -> Response:
        """Stop loading; the checkpoint before stays. A job that waits for it is interrupted."""
        done = context.jobs.engine.model.state == "loading" and await asyncio.to_thread(
            context.jobs.interrupt
        )
        return SafeJSON({"done": bool(done)})

    @router.post("/models/reload")
    async def reload() -> Response:
        """Load the chosen checkpoint again after it was unloaded."""
        context.jobs.between_jobs(context.jobs.models.load_chosen)
        return SafeJSON(context.jobs.engine.model.to_json())

    @router.post("/models/unload")
    async def unload() -> Response:
        """Free the model's memory; the next job loads it again."""
        try:
            await asyncio.wrap_future(context.jobs.between_jobs(context.jobs.models.unload))
        except LoadFailed as error:
            return error_answer(500, "EngineError", str(error))
        return SafeJSON(context.jobs.engine.model.to_json())

    return router


def applied_object(applied: Applied) -> dict[str, Any]:
    """What a change of settings did."""
    return {
        "changed": {key: {"old": old, "new": new} for key, (old, new) in applied.changed.items()},
        "unknown": applied.unknown,
        "loading": applied.loading is not None,
    }


def settings_object(context: AppContext) -> dict[str, Any]:
    """The option table in page order with the values in force."""
    values = context.options.as_dict()
    groups: dict[str, list[dict[str, Any]]] = {}
    for key in context.options.table:
        option = context.options.table[key]
        if not option.hidden:
            groups.setdefault(option.group, []).append(option_object(context, option, values[key]))
    return {
        "groups": [{"name": name, "label": name, "options": rows} for name, rows in groups.items()],
        "frozen": context.flags.freeze_settings,
        "notices": list(context.options.notices),
    }


def option_object(context: AppContext, option: Option, value: Any) -> dict[str, Any]:
    """One row of the table."""
    return {
        "key": option.key,
        "label": option.label,
        "kind": option.kind,
        "default": option.default,
        "value": value,
        "choices": list(option.choices) or dynamic_choices(context, option.dynamic),
        "minimum": option.minimum,
        "maximum": option.maximum,
        "step": option.step,
        "help": option.help,
        "restart": option.restart,
    }


def dynamic_choices(context: AppContext, name: str) -> list[str]:
    """Choices that only the running program knows."""
    if name == "checkpoints":
        return [info.title for info in context.catalog.checkpoints()]
    if name == "vaes":
        return ["Automatic", "None", *(vae.name for vae in context.catalog.vaes())]
    if name == "options":
        return list(context.options.table)
    if name == "samplers":
        return [sampler.name for sampler in SAMPLERS]
    if name == "upscalers":
        return [info.name for info in context.catalog.upscalers() if not info.hidden]
    if name == "realesrgan":
        found = context.catalog.upscalers()
        return [info.name for info in found if info.architecture == "Real-ESRGAN"]
    if name == "tabs":
        return list(HIDEABLE_TABS)
    if name == "loras":
        return ["None", *context.catalog.networks.lora_names()]
    if name == "hypernetworks":
        found = context.catalog.hypernetworks()
        return ["None", *(info.name for info in found if not info.problem)]
    return []


def models_object(context: AppContext) -> dict[str, Any]:
    """Model lists and what is loaded."""
    chosen = context.catalog.default_checkpoint()
    previews = checkpoint_previews(context.catalog.cards)
    return {
        "checkpoints": [
            {
                "title": info.title,
                "model_name": info.model_name,
                "hash": info.hash,
                "family": info.family,
                "family_label": family_label(info.family or ""),
                "variant": info.variant,
                "size": info.size,
                "preview": previews.get(info.path),
                "defaults": context.catalog.default_parameters(info),
            }
            for info in context.catalog.checkpoints()
        ],
        "unusable": [
            {"name": info.name, "problem": info.problem} for info in context.catalog.unusable()
        ],
        "vaes": dynamic_choices(context, "vaes"),
        "chosen": chosen.title if chosen else None,
        "current": context.jobs.engine.model.to_json(),
    }
