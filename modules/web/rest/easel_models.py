"""``/easel/v1/merge`` and ``convert``: jobs that make model files, and what their form needs."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from modules.catalog import CheckpointInfo
from modules.catalog.errors import ModelFileError
from modules.catalog.header import Header
from modules.catalog.merge_blocks import PRESETS, input_blocks, labels, preset
from modules.catalog.weights import weights_header
from modules.jobs.describe import parameters_json
from modules.jobs.records import DONE, INTERRUPTED
from modules.requests.errors import RequestError
from modules.requests.models import ConvertRequest, MergeRequest
from modules.web.context import AppContext
from modules.web.rest.answers import SafeJSON
from modules.web.rest.generation import client_name, failure_answer
from modules.web.rest.waiting import finished

Names = Annotated[list[str], Query(alias="model", max_length=3, default_factory=list)]
MAX_VALUE = 100_000
"""Characters of one metadata entry that the form shows."""


class MergeBody(MergeRequest):
    """A merge, and whether to wait for it."""

    wait: bool = False

    def request(self) -> MergeRequest:
        """What is asked for, without how it is answered."""
        return MergeRequest.model_validate(self.model_dump(exclude={"wait"}, exclude_unset=True))


class ConvertBody(ConvertRequest):
    """A conversion, and whether to wait for it."""

    wait: bool = False

    def request(self) -> ConvertRequest:
        """What is asked for, without how it is answered."""
        return ConvertRequest.model_validate(self.model_dump(exclude={"wait"}, exclude_unset=True))


def easel_model_router(context: AppContext) -> APIRouter:
    """Merging and converting."""
    router = APIRouter(prefix="/easel/v1", tags=["models"])
    jobs, catalog = context.jobs, context.catalog

    @router.post("/merge")
    async def merge(body: MergeBody, request: Request) -> Response:
        """Queue a merge of two or three checkpoints; with ``wait`` answer when it is done."""
        return await carried_out(body, request)

    @router.post("/convert")
    async def convert(body: ConvertBody, request: Request) -> Response:
        """Queue a conversion of one model; with ``wait`` answer when it is done."""
        return await carried_out(body, request)

    async def carried_out(body: MergeBody | ConvertBody, request: Request) -> Response:
        client, task_id = client_name("api", request), body.force_task_id
        job_id = await asyncio.to_thread(jobs.submit, body.request(), client, task_id)
        record = await finished(jobs, job_id) if body.wait else jobs.record(job_id)
        if body.wait and record.state not in (DONE, INTERRUPTED):
            return failure_answer(record)
        brief = await asyncio.to_thread(jobs.brief, record)
        return SafeJSON({**brief, "parameters": parameters_json(record.prepared)})

    @router.get("/merge/metadata")
    async def metadata(models: Names) -> Response:
        """What the files of these models say about themselves; later ones win."""
        return SafeJSON(await asyncio.to_thread(_metadata, models))

    def _metadata(names: list[str]) -> dict[str, Any]:
        found: dict[str, str] = {}
        for info in filter(None, map(_file, names)):
            header = _header(info)
            found |= {
                key: value
                for key, value in header.metadata.items()
                if len(value) <= MAX_VALUE and key != "format"
            }
        return {"metadata": found}

    @router.get("/merge/blocks")
    async def blocks(model: str = "") -> Response:
        """How many blocks a model's UNet has, their names, and ready-made weights for them."""
        return SafeJSON(await asyncio.to_thread(_blocks, model))

    def _blocks(name: str) -> dict[str, Any]:
        info = _file(name)
        inputs = input_blocks(_header(info)) if info else 0
        count = 2 * inputs + 1 if inputs else 0
        ready = {one: preset(one, count) for one in PRESETS} if count else {}
        return {"count": count, "labels": labels(count) if count else [], "presets": ready}

    def _file(name: str) -> CheckpointInfo | None:
        """A checkpoint that is one file; None for a folder, or for nothing chosen."""
        if not name.strip():
            return None
        info = catalog.find_checkpoint(name)
        return info if info.kind == "file" else None

    return router


def _header(info: CheckpointInfo) -> Header:
    try:
        return weights_header(info.path)
    except ModelFileError as error:
        raise RequestError("model", info.name, error.reason) from None
