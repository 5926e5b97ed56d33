"""Jobs and images as JSON objects for the page and the API."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modules.jobs.picture_plan import ROLES, is_shown
from modules.jobs.records import (
    FINISHED,
    MODEL_KINDS,
    PAINTING,
    RUNNING,
    ImageRecord,
    JobRecord,
    what_is_missing,
)

TABS = {"merge": "modelmerger", "convert": "modelconvert"}
"""The page's forms of jobs that are called otherwise."""
MAX_TEXT = 2000
"""Characters of a prompt in a list entry; the whole text is in the job's own object."""


def image_json(image: ImageRecord) -> dict[str, Any]:
    """One picture as the page gets it; it never sees a path it could ask for."""
    return {
        "id": image.id,
        "index": image.index,
        "kind": image.kind,
        "is_grid": image.kind == "grid",
        "url": f"/image/{image.id}",
        "thumb": f"/image/{image.id}/thumb",
        "download": f"/image/{image.id}/download",
        "name": image.name,
        "path": image.path if image.saved else None,
        "width": image.width,
        "height": image.height,
        "seed": image.seed if image.seed >= 0 else None,
        "infotext": image.infotext,
        "postprocessing": image.facts.get("postprocessing"),
        "input": image.facts.get("input"),
        "saved": image.saved,
        "note": image.note,
    }


def ordered_images(record: JobRecord) -> list[ImageRecord]:
    """Grid first, as A1111's gallery shows them; masks behind their images where these are wanted.

    ``infotexts`` of the ``info`` object has the same order.
    """
    grid = record.grid()
    options = record.prepared.get("options") or {}
    beside = [
        image
        for kind in ROLES
        if is_shown(kind, options)
        for image in record.images
        if image.kind == kind
    ]
    ordered = [grid] if grid else []
    for picture in record.pictures():
        ordered.append(picture)
        ordered += [image for image in beside if image.index == picture.index]
    return ordered


def brief_json(record: JobRecord, position: int | None, progress: float) -> dict[str, Any]:
    """One line of the queue; fields that a kind of job does not have are null."""
    prepared = record.prepared
    request = prepared.get("request") or {}
    pictures = record.pictures()
    shown = ordered_images(record)
    end = record.finished or time.time()
    return {
        "id": record.id,
        "kind": record.kind,
        "tab": "outpaint" if request.get("outpaint") else TABS.get(record.kind, record.kind),
        "state": record.state,
        "position": position,
        "client": record.client.partition(":")[0],
        "created": record.created,
        "started": record.started,
        "finished": record.finished,
        "seconds": None if record.started is None else round(end - record.started, 2),
        "prompt": _first(prepared, "all_prompts", "")[:MAX_TEXT],
        "negative_prompt": _first(prepared, "all_negative_prompts", "")[:MAX_TEXT],
        "seed": _first(prepared, "all_seeds", None) if record.kind in PAINTING else None,
        "width": request.get("width"),
        "height": request.get("height"),
        "steps": request.get("steps"),
        "sampler": request.get("sampler_name"),
        "upscaler": request.get("upscaler_1") if record.kind == "extras" else None,
        "checkpoint": (prepared.get("options") or {}).get("sd_model_checkpoint")
        if prepared.get("checkpoint")
        else None,
        "image_count": record.image_count,
        "total_images": max(record.image_count, len(pictures)),
        "images_done": len(pictures),
        "progress": 1.0 if record.state == "done" else round(progress, 4),
        "error": record.error,
        "files": list(record.facts.get("files") or ()),
        "warnings": list(record.warnings),
        "attempts": record.attempts,
        "result": result_json(record),
        "infotext": pictures[0].infotext if pictures else None,
        "thumb": f"/image/{shown[0].id}/thumb" if shown else None,
    }


def result_json(record: JobRecord) -> dict[str, Any] | None:
    """The model that a job has made; None for other jobs."""
    if record.kind not in MODEL_KINDS:
        return None
    path = record.facts.get("file")
    target = (record.prepared.get("resources") or {}).get("target")
    name = Path(str(path or target or "")).name
    return {"name": name, "path": path, "facts": dict(record.facts)}


def job_json(record: JobRecord, position: int | None, progress: float) -> dict[str, Any]:
    """Everything the page shows of one job."""
    prepared = record.prepared
    timings = dict(record.timings)
    if record.started is not None:
        timings["queued_s"] = round(record.started - record.created, 3)
    if record.started is not None and record.finished is not None:
        timings["run_s"] = round(record.finished - record.started, 3)
        timings["total_s"] = round(record.finished - record.created, 3)
    told = record.state in FINISHED or record.state == RUNNING
    told = told and record.kind in PAINTING and not what_is_missing(record)
    return {
        **brief_json(record, position, progress),
        "prompt": _first(prepared, "all_prompts", ""),
        "negative_prompt": _first(prepared, "all_negative_prompts", ""),
        "images": [image_json(image) for image in ordered_images(record)],
        "request": prepared.get("request"),
        "parameters": parameters_json(prepared),
        "info": info_object(record) if told else None,
        "timings": timings,
    }


def _first(prepared: Mapping[str, Any], name: str, otherwise: Any) -> Any:
    values = prepared.get(name) or ()
    return values[0] if values else otherwise


def parameters_json(prepared: Mapping[str, Any]) -> dict[str, Any]:
    """What a job will really use: the request with everything settled."""
    request = prepared.get("request") or {}
    if prepared.get("kind") not in PAINTING:
        return dict(request)
    return {
        **request,
        "prompt": _first(prepared, "all_prompts", ""),
        "negative_prompt": _first(prepared, "all_negative_prompts", ""),
        "all_seeds": prepared.get("all_seeds"),
        "all_subseeds": prepared.get("all_subseeds"),
        "templates": prepared.get("templates"),
    }


def info_object(record: JobRecord) -> dict[str, Any]:
    """A1111's ``info``: exactly its keys, one ``infotexts`` entry per returned image."""
    prepared, request = record.prepared, record.prepared["request"]
    options = prepared["options"]
    pictures = record.pictures()
    grid = record.grid()
    facts = pictures[0].facts if pictures else {}
    extra = facts.get("extra") or {}
    done = len(pictures) or len(prepared["all_seeds"])
    infotexts = [image.infotext for image in ordered_images(record)]
    restored = bool(request.get("restore_faces"))
    strong = record.kind == "img2img" or request.get("enable_hr")
    stamp = time.strftime("%Y%m%d%H%M%S", time.localtime(record.started or record.created))
    return {
        "prompt": prepared["all_prompts"][0],
        "all_prompts": prepared["all_prompts"][:done],
        "negative_prompt": prepared["all_negative_prompts"][0],
        "all_negative_prompts": prepared["all_negative_prompts"][:done],
        "seed": prepared["all_seeds"][0],
        "all_seeds": prepared["all_seeds"][:done],
        "subseed": prepared["all_subseeds"][0],
        "all_subseeds": prepared["all_subseeds"][:done],
        "subseed_strength": request.get("subseed_strength"),
        "width": request.get("width"),
        "height": request.get("height"),
        "sampler_name": request.get("sampler_name"),
        "cfg_scale": request.get("cfg_scale"),
        "steps": request.get("steps"),
        "batch_size": request.get("batch_size"),
        "restore_faces": restored,
        "face_restoration_model": options.get("face_restoration_model") if restored else None,
        "sd_model_name": facts.get("model_name") or "",
        "sd_model_hash": facts.get("model_hash") or "",
        "sd_vae_name": facts.get("vae_name"),
        "sd_vae_hash": facts.get("vae_hash"),
        "seed_resize_from_w": request.get("seed_resize_from_w"),
        "seed_resize_from_h": request.get("seed_resize_from_h"),
        "denoising_strength": request.get("denoising_strength") if strong else None,
        "extra_generation_params": extra,
        "index_of_first_image": 1 if grid else 0,
        "infotexts": infotexts,
        "styles": request.get("styles"),
        "job_timestamp": stamp,
        "clip_skip": int(facts.get("clip_skip") or options.get("CLIP_stop_at_last_layers") or 1),
        # A1111 writes the weight whenever the checkpoint is shown the masked picture.
        "is_using_inpainting_conditioning": "Conditional mask weight" in extra,
        "version": str(facts.get("version") or ""),
    }
