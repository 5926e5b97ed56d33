"""``on_before_image_saved`` and ``on_image_saved`` where the server saves pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image

from modules.addons.a1111 import script_callbacks
from modules.addons.a1111.callback_params import ImageSaveParams
from modules.addons.asking import OF_KIND, SAME


class SavingCallbacks:
    """What the server asks before and after it writes a picture; see ``modules.jobs.results``."""

    def before(
        self, image: Image.Image, text: str, name: str, prepared: Mapping[str, Any]
    ) -> tuple[Image.Image, str]:
        """The picture and its infotext as callbacks leave them."""
        if not script_callbacks.has("before_image_saved"):
            return image, text
        params = ImageSaveParams(image, _p_of(prepared), name, {"parameters": text})
        script_callbacks.before_image_saved_callback(params)
        return params.image, str(params.pnginfo.get("parameters") or "")

    def after(self, image: Image.Image, text: str, path: str, prepared: Mapping[str, Any]) -> None:
        """It lies there now."""
        if script_callbacks.has("image_saved"):
            params = ImageSaveParams(image, _p_of(prepared), path, {"parameters": text})
            script_callbacks.image_saved_callback(params)


def _p_of(prepared: Mapping[str, Any]) -> Any:
    """``p`` with the plain fields of a job; without its pictures."""
    # Only now: A1111's modules read the world when they are imported.
    from modules.addons.a1111.processing import (
        StableDiffusionProcessingImg2Img,
        StableDiffusionProcessingTxt2Img,
    )

    request, kind = prepared["request"], prepared["kind"]
    if kind not in OF_KIND:
        return None
    left_out = ("init_images", "firstpass_image")
    names = [name for name in (*SAME, *OF_KIND[kind]) if name in request and name not in left_out]
    image_to_image = kind == "img2img"
    made = StableDiffusionProcessingImg2Img if image_to_image else StableDiffusionProcessingTxt2Img
    p = made(**{name: request[name] for name in names})
    p.all_prompts, p.all_seeds = list(prepared["all_prompts"]), list(prepared["all_seeds"])
    p.all_negative_prompts = list(prepared["all_negative_prompts"])
    p.all_subseeds = list(prepared["all_subseeds"])
    return p
