"""``interrogate``: words for a picture, for the API's clients and for the page."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response
from pydantic import BaseModel

from modules.jobs.inputs import StoredInput
from modules.requests.events import Reply
from modules.web.context import AppContext
from modules.web.rest.answers import SafeJSON, error_answer
from modules.web.rest.pictures import picture_bytes

INTERROGATORS = {"clip": "clip", "deepdanbooru": "deepdanbooru", "deepbooru": "deepdanbooru"}
INTERROGATE_SECONDS = 900.0
"""The first call loads the model."""


class InterrogateBody(BaseModel):
    """The request of ``interrogate``."""

    image: str = ""
    model: str = "clip"


def interrogate_router(context: AppContext) -> APIRouter:
    """A1111's route, and ours, which the page's login opens and no login of the API closes."""
    router = APIRouter(tags=["images"])

    @router.post("/sdapi/v1/interrogate")
    @router.post("/easel/v1/interrogate")
    async def interrogate(body: InterrogateBody) -> Response:
        """Words for a picture, by CLIP or DeepDanbooru."""
        if not body.image:
            raise HTTPException(404, "Image not found")
        model = INTERROGATORS.get(body.model.lower())
        if model is None:
            raise HTTPException(404, "Model not found")
        stored = await asyncio.to_thread(_kept, body.image)
        reply = await asyncio.wrap_future(
            context.jobs.between_jobs(lambda: _ask(model, str(stored.path)))
        )
        if not reply.ok:
            sentence = str(reply.payload.get("error") or "The engine gave no answer.")
            sentence = sentence.removeprefix("interrogate: ")
            return error_answer(422, "RequestError", sentence, field="model")
        return SafeJSON({"caption": str(reply.payload.get("caption") or "")})

    def _kept(text: str) -> StoredInput:
        return context.jobs.keep_input(picture_bytes(context, text))

    def _ask(model: str, path: str) -> Reply:
        options = context.options.as_dict()
        return context.jobs.backend.request(
            "interrogate", timeout=INTERROGATE_SECONDS, image=path, model=model, options=options
        )

    return router
