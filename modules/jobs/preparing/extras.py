"""Settles a postprocessing job: its pictures, its upscalers, and that the results are not huge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules.catalog.upscalers import UpscalerInfo
from modules.jobs.inputs import StoredInput
from modules.jobs.pictures import PictureDoor
from modules.jobs.preparing.resources import ResourceSettler
from modules.requests.errors import RequestError
from modules.requests.extras import ExtrasRequest
from modules.requests.limits import Limits, check_result

MAX_PASSES = 3
"""How often a model may run on its own result to reach the size that is asked for."""
INTERMEDIATE = 4.0
"""A model's own result may be larger than the final picture, at most this times the limit."""


def settle_extras(
    request: ExtrasRequest, door: PictureDoor, settler: ResourceSettler, limits: Limits
) -> tuple[ExtrasRequest, dict[str, str], dict[str, Any]]:
    """The request with references and known names, the references' files, and the resources.

    Raises:
        RequestError: no picture, an unreadable one, an unknown upscaler, or a result too large.
    """
    if not request.images:
        raise RequestError("image", "", "there is no picture; send at least one.")
    if len(request.images) > limits.images:
        raise RequestError(
            "imageList",
            len(request.images),
            f"{len(request.images)} pictures in one job; allowed: {limits.images} "
            "(setting max_images_per_job).",
        )
    first = settler.upscaler(request.upscaler_1, "upscaler_1")
    second = settler.upscaler(request.upscaler_2, "upscaler_2")
    files: dict[str, str] = {}
    refs = []
    for number, text in enumerate(request.images):
        field = "image" if len(request.images) == 1 else f"imageList[{number}]"
        stored = door.take(text, field)
        files[stored.ref] = str(stored.path)
        refs.append(stored.ref)
        for info in {first, second}:
            check_enlarged(request, stored, info, limits)
    used = {info.name: info.to_json() for info in (first, second)}
    resources: dict[str, Any] = {"upscalers": used}
    if _needs_faces(request):
        resources["restorers"] = settler.restorers()
    settled = request.model_copy(
        update={"images": refs, "upscaler_1": first.name, "upscaler_2": second.name}
    )
    return settled, files, resources


def target_size(request: ExtrasRequest, width: int, height: int) -> tuple[int, int]:
    """The size that a picture is enlarged to, before it is cut to fit."""
    if request.resize_mode == 1:
        scale = max(request.upscaling_resize_w / width, request.upscaling_resize_h / height)
        return max(1, round(width * scale)), max(1, round(height * scale))
    scale = request.upscaling_resize
    if request.max_side_length and max(width, height) * scale > request.max_side_length:
        scale = request.max_side_length / max(width, height)
    return max(1, int(width * scale)), max(1, int(height * scale))


def check_enlarged(
    request: ExtrasRequest, picture: StoredInput, upscaler: UpscalerInfo, limits: Limits
) -> None:
    """Refuse a result, or a model's own result on the way to it, that is too large.

    Raises:
        RequestError: it would exceed a side or the number of pixels.
    """
    if upscaler.kind == "none":
        return
    field = "upscaling_resize" if request.resize_mode == 0 else "upscaling_resize_w"
    width, height = target_size(request, picture.width, picture.height)
    check_result(field, width, height, limits)
    if upscaler.kind != "model":
        return
    wide, high = picture.width, picture.height
    for _ in range(MAX_PASSES):
        if wide >= width and high >= height:
            break
        wide, high = wide * max(1, upscaler.scale), high * max(1, upscaler.scale)
    if wide * high / 1e6 > limits.result_megapixels * INTERMEDIATE:
        raise RequestError(
            field,
            f"{width}x{height}",
            f"{upscaler.name} would make {wide}x{high} on the way to {width}x{height}; "
            "choose Lanczos, a model with a smaller factor, or a smaller picture.",
        )


def _needs_faces(request: ExtrasRequest) -> bool:
    dataset: Mapping[str, Any] = request.dataset.model_dump() if request.dataset else {}
    focal = bool(dataset.get("focal_crop") and dataset.get("focal_face_weight"))
    return bool(request.gfpgan_visibility or request.codeformer_visibility or focal)
