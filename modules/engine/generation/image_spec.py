"""What an img2img job asks for beyond what every job does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modules.engine.generation.canvas import CONTENT_NAMES, MaskSettings
from modules.engine.generation.spec import GenerationSpec
from modules.requests.generation import SoftInpainting


@dataclass(frozen=True)
class ImageSpec:
    """Fields of the request and settings that are about the picture a job starts from."""

    strength: float
    exact_steps: bool
    noise_multiplier: float
    extra_noise: float
    resize_mode: int
    background: str
    mask: MaskSettings
    soft: SoftInpainting | None

    @classmethod
    def from_spec(cls, spec: GenerationSpec) -> ImageSpec:
        """Read the request and the settings."""
        form, options = spec.form, spec.options
        multiplier = form.initial_noise_multiplier
        if multiplier is None:
            multiplier = float(options.get("initial_noise_multiplier", 1.0))
        soft = form.soft_inpainting if form.mask else None
        both = form.mask_blur
        return cls(
            strength=form.denoising_strength,
            exact_steps=bool(options.get("img2img_fix_steps", False)),
            noise_multiplier=multiplier,
            extra_noise=float(options.get("img2img_extra_noise", 0.0)),
            resize_mode=form.resize_mode,
            background=str(options.get("img2img_background_color") or "#ffffff"),
            mask=MaskSettings(
                blur_x=form.mask_blur_x if both is None else both,
                blur_y=form.mask_blur_y if both is None else both,
                round=form.mask_round and soft is None,
                invert=bool(form.inpainting_mask_invert),
                content=form.inpainting_fill,
                only_masked=form.inpaint_full_res,
                padding=form.inpaint_full_res_padding,
            ),
            soft=soft,
        )

    def infotext(self, *, masked: bool) -> Mapping[str, Any]:
        """A1111's keys, in its order; ``masked``: a mask is really in use."""
        extra: dict[str, Any] = {"Denoising strength": self.strength}
        if masked:
            extra.update(self._soft_infotext())
            extra.update(self._mask_infotext())
        if self.noise_multiplier != 1:
            extra["Noise multiplier"] = self.noise_multiplier
        return extra

    def _soft_infotext(self) -> dict[str, Any]:
        soft = self.soft
        if soft is None:
            return {}
        return {
            "Soft inpainting enabled": True,
            "Soft inpainting schedule bias": soft.schedule_bias,
            "Soft inpainting preservation strength": soft.preservation_strength,
            "Soft inpainting transition contrast boost": soft.transition_contrast_boost,
            "Soft inpainting mask influence": soft.mask_influence,
            "Soft inpainting difference threshold": soft.difference_threshold,
            "Soft inpainting difference contrast": soft.difference_contrast,
        }

    def _mask_infotext(self) -> dict[str, Any]:
        mask = self.mask
        extra: dict[str, Any] = {}
        if mask.invert:
            extra["Mask mode"] = "Inpaint not masked"
        if mask.blur_x == mask.blur_y and mask.blur_x > 0:
            extra["Mask blur"] = mask.blur_x
        if mask.only_masked:
            extra["Inpaint area"] = "Only masked"
            extra["Masked area padding"] = mask.padding
        if mask.content in CONTENT_NAMES:
            extra["Masked content"] = CONTENT_NAMES[mask.content]
        return extra
