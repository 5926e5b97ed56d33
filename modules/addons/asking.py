"""From A1111's ``p`` to a request."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable
from typing import Any

from PIL import Image
from pydantic import ValidationError

from modules.requests.errors import RequestError
from modules.requests.generation import IMG2IMG_FIELDS, TXT2IMG_FIELDS, GenerationRequest

SAME = (
    *("prompt", "negative_prompt", "styles", "seed", "subseed", "subseed_strength"),
    *("seed_resize_from_h", "seed_resize_from_w", "sampler_name", "scheduler", "steps"),
    *("cfg_scale", "distilled_cfg_scale", "width", "height", "batch_size", "n_iter", "eta"),
    *("s_min_uncond", "s_churn", "s_tmax", "s_tmin", "s_noise", "tiling", "restore_faces"),
    *("denoising_strength", "refiner_checkpoint", "refiner_switch_at", "do_not_save_samples"),
    *("do_not_save_grid", "override_settings", "disable_extra_networks"),
)
"""Fields that ``p`` and a request have under one name."""
OF_KIND = {
    "txt2img": tuple(sorted(TXT2IMG_FIELDS)),
    "img2img": tuple(
        sorted(IMG2IMG_FIELDS - {"mask_blur", "mask", "latent_mask", "include_init_images"})
    ),
}
PICTURES = {
    "image_mask": "mask",
    "latent_mask": "latent_mask",
    "firstpass_image": "firstpass_image",
}
WHOLE = frozenset(
    (
        *("seed", "subseed", "seed_resize_from_h", "seed_resize_from_w", "steps", "width"),
        *("height", "batch_size", "n_iter", "firstphase_width", "firstphase_height"),
        *("hr_second_pass_steps", "hr_resize_x", "hr_resize_y", "resize_mode", "mask_blur_x"),
        *("mask_blur_y", "inpainting_fill", "inpaint_full_res_padding", "inpainting_mask_invert"),
    )
)
"""Fields without fractions; sliders give floats."""


def request_of(p: Any, reference: Callable[[Any], str]) -> GenerationRequest:
    """What ``p`` asks for; fields that only the program has are those it was made from.

    Args:
        reference: stores a picture and gives the text by which requests name it.

    Raises:
        RequestError: a field cannot be used.
    """
    base = dict(p._settled[0]) if p._settled is not None else {"kind": p.kind}
    if p._settled is None and getattr(p, "_base", None):
        base = dict(p._base)
    for name in (*SAME, *OF_KIND[p.kind]):
        if hasattr(p, name):
            base[name] = _plain(name, getattr(p, name))
    if p.kind == "img2img":
        base["mask_blur"] = None
        base["init_images"] = [reference(one) for one in p.init_images or [] if one]
    for own, name in PICTURES.items():
        value = getattr(p, own, None)
        base[name] = None if value is None else reference(value)
    base |= {"script_name": None, "script_args": [], "alwayson_scripts": {}}
    try:
        return GenerationRequest.model_validate(base).sized()
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise RequestError(where, fault.get("input"), f"{fault['msg']}.") from None


def reference_of(picture: Image.Image | str, store: Callable[[bytes], str]) -> str:
    """The text by which requests name a picture; while it stays the same it is stored once."""
    if isinstance(picture, str):
        return picture
    look = look_of(picture)
    known = getattr(picture, "easel_reference", None)
    if known is not None and known[0] == look:
        return str(known[1])
    stream = io.BytesIO()
    image = picture if picture.mode in ("RGB", "RGBA", "L") else picture.convert("RGB")
    image.save(stream, format="PNG", compress_level=1)
    reference = store(stream.getvalue())
    picture.easel_reference = (look, reference)  # type: ignore[union-attr]
    return reference


def look_of(picture: Image.Image) -> tuple[Any, ...]:
    """Changes when somebody draws on the picture."""
    return picture.mode, picture.size, zlib.crc32(picture.tobytes())


def _plain(name: str, value: Any) -> Any:
    if name in ("prompt", "negative_prompt") and isinstance(value, list):
        return value[0] if value else ""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if name in WHOLE and isinstance(value, float):
        return int(value)
    if name == "override_settings":
        return dict(value or {})
    return list(value) if isinstance(value, tuple) else value
