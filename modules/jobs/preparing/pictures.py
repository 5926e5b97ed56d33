"""Input pictures of a generation job: taken in, named by reference, and what size follows."""

from __future__ import annotations

from modules.jobs.inputs import StoredInput
from modules.jobs.pictures import PictureDoor
from modules.requests.errors import RequestError
from modules.requests.generation import GenerationRequest, Outpaint
from modules.requests.limits import Limits, check_budget, check_result

NO_INIT_IMAGE = "Init image not found"


def check_inputs_given(request: GenerationRequest) -> None:
    """Refuse a job that lacks its picture, before anything is decoded.

    Raises:
        RequestError: there is no init image, or too many.
    """
    if request.kind != "img2img":
        return
    if not request.init_images:
        raise RequestError(
            "init_images", [], f"{NO_INIT_IMAGE}; img2img needs at least one picture."
        )
    if len(request.init_images) > max(1, request.batch_size):
        raise RequestError(
            "init_images",
            len(request.init_images),
            f"{len(request.init_images)} pictures for a batch of {request.batch_size}; allowed: "
            "one, or as many as batch_size.",
        )
    if request.outpaint is not None and not _grows(request.outpaint):
        raise RequestError(
            "outpaint",
            0,
            "choose at least one side to grow: left, right, up or down, or uncrop.",
        )


def take_pictures(
    request: GenerationRequest, door: PictureDoor, limits: Limits
) -> tuple[GenerationRequest, dict[str, str]]:
    """The request with references instead of pictures, and the files of these references.

    ``scale_by`` and a finished first pass settle width and height.

    Raises:
        RequestError: a picture cannot be used, or the result would be too large.
    """
    files: dict[str, str] = {}

    def take(text: str, field: str) -> StoredInput:
        stored = door.take(text, field)
        files[stored.ref] = str(stored.path)
        return stored

    changes: dict[str, object] = {}
    if request.kind == "img2img":
        images = [take(text, "init_images") for text in request.init_images]
        changes["init_images"] = [image.ref for image in images]
        changes |= _img2img_size(request, images, limits)
        for field in ("mask", "latent_mask"):
            text = getattr(request, field)
            changes[field] = take(text, field).ref if text else None
        changes["firstpass_image"] = None
        changes["enable_hr"] = False
    else:
        changes |= {"init_images": [], "mask": None, "latent_mask": None}
        changes |= {"outpaint": None, "soft_inpainting": None, "scale_by": None}
        finished = request.firstpass_image if request.enable_hr else None
        changes["firstpass_image"] = None
        if finished:
            first = take(finished, "firstpass_image")
            changes |= {"firstpass_image": first.ref, "width": first.width, "height": first.height}
    depth = request.depth_map
    changes["depth_map"] = take(depth, "depth_map").ref if depth else None
    if request.mask_blur is not None:
        changes |= {"mask_blur_x": request.mask_blur, "mask_blur_y": request.mask_blur}
    settled = request.model_copy(update=changes)
    check_budget(settled, limits)
    return settled, files


def _img2img_size(
    request: GenerationRequest, images: list[StoredInput], limits: Limits
) -> dict[str, object]:
    first = images[0]
    changes: dict[str, object] = {}
    if len(images) > 1:
        changes["batch_size"] = len(images)
    if request.scale_by is not None:
        changes["width"] = max(8, int(first.width * request.scale_by))
        changes["height"] = max(8, int(first.height * request.scale_by))
    if request.outpaint is not None:
        for image in images:
            _check_outpaint(image, request.outpaint, limits)
    return changes


def _grows(spec: Outpaint) -> bool:
    return spec.uncrop or any((spec.left, spec.right, spec.up, spec.down))


def _check_outpaint(image: StoredInput, spec: Outpaint, limits: Limits) -> None:
    """The largest that the picture can become; uncropping may grow every side."""
    uncropped = spec.uncrop_pixels if spec.uncrop else 0
    across = spec.left + spec.right + 2 * uncropped
    down = spec.up + spec.down + 2 * uncropped
    check_result("outpaint", image.width + across, image.height + down, limits)
