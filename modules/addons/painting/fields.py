"""``p`` from a prepared job."""

from __future__ import annotations

from typing import Any

from modules.addons.a1111.processing import (
    StableDiffusionProcessing,
    StableDiffusionProcessingImg2Img,
    StableDiffusionProcessingTxt2Img,
)
from modules.addons.asking import OF_KIND, SAME
from modules.addons.painting.settling import Settler
from modules.requests.prepared import PreparedJob
from modules.settings.paths import Paths

OUTPUTS = {
    "txt2img": ("outdir_txt2img_samples", "outdir_txt2img_grids"),
    "img2img": ("outdir_img2img_samples", "outdir_img2img_grids"),
}


def p_of(job: PreparedJob, settler: Settler, paths: Paths) -> StableDiffusionProcessing:
    """The object that scripts are given for a job.

    Raises:
        RequestError: an input picture is not there any more.
    """
    request = job.request
    names = [name for name in (*SAME, *OF_KIND[job.kind]) if name in request]
    values: dict[str, Any] = {
        name: request[name] for name in names if name not in ("init_images", "firstpass_image")
    }
    samples, grids = (str(job.options.get(key) or "") for key in OUTPUTS[job.kind])
    values["outpath_samples"] = str(paths.data / samples)
    values["outpath_grids"] = str(paths.data / grids)
    values["is_api"] = job.client not in ("ui", "page")
    if request.get("firstpass_image"):
        values["firstpass_image"] = settler.picture(
            job, request["firstpass_image"], "firstpass_image"
        )
    if job.kind == "img2img":
        p: StableDiffusionProcessing = StableDiffusionProcessingImg2Img(**values)
        _add_pictures(p, job, settler)
    else:
        p = StableDiffusionProcessingTxt2Img(**values)
    p._base = request  # type: ignore[attr-defined]
    settler.adopt(p, job)
    take_lists(p, job)
    return p


def take_lists(p: Any, job: PreparedJob) -> None:
    """What is settled for each picture."""
    p.all_prompts = list(job.all_prompts)
    p.all_negative_prompts = list(job.all_negative_prompts)
    p.all_seeds = list(job.all_seeds)
    p.all_subseeds = list(job.all_subseeds)
    p.main_prompt = p.all_prompts[0] if p.all_prompts else ""
    p.main_negative_prompt = p.all_negative_prompts[0] if p.all_negative_prompts else ""
    if p.kind == "txt2img":
        texts = job.resources.get("hires_prompts") or job.all_prompts
        negatives = job.resources.get("hires_negative_prompts") or job.all_negative_prompts
        p.all_hr_prompts, p.all_hr_negative_prompts = list(texts), list(negatives)
        p.calculate_target_resolution()


def lists_of(p: Any, job: PreparedJob) -> dict[str, list[Any]]:
    """What scripts have made of it."""
    found = {
        "all_prompts": list(p.all_prompts or []),
        "all_negative_prompts": list(p.all_negative_prompts or []),
        "all_seeds": [int(seed) for seed in p.all_seeds or []],
        "all_subseeds": [int(seed) for seed in p.all_subseeds or []],
    }
    if p.kind == "txt2img" and p.enable_hr:
        positive, negative = list(p.all_hr_prompts or []), list(p.all_hr_negative_prompts or [])
        settled = (
            job.resources.get("hires_prompts") or job.all_prompts,
            job.resources.get("hires_negative_prompts") or job.all_negative_prompts,
        )
        if positive and negative and (positive, negative) != settled:
            found |= {"hires_prompts": positive, "hires_negative_prompts": negative}
    return found


def _add_pictures(p: Any, job: PreparedJob, settler: Settler) -> None:
    request = job.request
    p.init_images = [
        settler.picture(job, one, "init_images") for one in request.get("init_images") or []
    ]
    if request.get("mask_blur") is not None:
        p.mask_blur = request["mask_blur"]
    if request.get("mask"):
        p.image_mask = settler.picture(job, request["mask"], "mask")
    if request.get("latent_mask"):
        p.latent_mask = settler.picture(job, request["latent_mask"], "latent_mask")
