"""What a job asks of hires fix: sizes, upscaler, and everything of the second pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from modules.engine.generation.context import JobContext
from modules.engine.generation.inputs import read_input
from modules.engine.generation.spec import PIXELS_PER_LATENT
from modules.imaging.resizing import flatten
from modules.requests.errors import NotFoundInList, RequestError
from modules.requests.generation import GenerationRequest
from modules.requests.hires import HiresSize, hires_size, with_first_pass_size
from modules.requests.latent_upscaling import LATENT_UPSCALINGS, find_latent_upscaling
from modules.requests.limits import SIDE_LIMIT
from modules.requests.prepared import PreparedJob
from modules.requests.samplers import SamplerInfo, SchedulerInfo, resolve_sampler

PLAIN_UPSCALERS = ("None", "Lanczos", "Nearest")
SAME = ("", "Use same sampler", "Use same scheduler", "Use same checkpoint", "None")
OLD_PIXELS = 512 * 512
OLD_GRID = 64
"""The first pass of the old behaviour: about 512², in multiples of 64."""


def sizes(
    form: GenerationRequest, first: tuple[int, int], *, old_behaviour: bool = False
) -> tuple[tuple[int, int], HiresSize]:
    """Width and height of the first pass, and the sizes of the second.

    Args:
        first: what the request says: the first pass, or (``old_behaviour``) the result.
        old_behaviour: setting: the first pass has about 512² pixels, in multiples of 64.
    """
    width, height = first
    asked = form.model_copy(update={"width": width, "height": height})
    if old_behaviour:
        across, down = old_first_size(width, height)
        asked = asked.model_copy(update={"firstphase_width": across, "firstphase_height": down})
    asked = with_first_pass_size(asked)
    return (_on_grid(asked.width), _on_grid(asked.height)), hires_size(asked)


def old_first_size(width: int, height: int) -> tuple[int, int]:
    """About 512² pixels of the same shape, in multiples of 64, rounded up."""
    scale = math.sqrt(OLD_PIXELS / (width * height))

    def side(length: int) -> int:
        return math.ceil(scale * length / OLD_GRID) * OLD_GRID

    return side(width), side(height)


def _on_grid(length: int) -> int:
    return max(length // PIXELS_PER_LATENT, 1) * PIXELS_PER_LATENT


@dataclass(frozen=True)
class HiresSpec:
    """What a job asks of its second pass."""

    first: tuple[int, int]
    """Width and height of the first pass in pixels."""
    size: HiresSize
    upscaler: str
    steps: int
    strength: float
    extra_noise: float
    sampler: SamplerInfo
    scheduler: SchedulerInfo
    prompts: tuple[str, ...]
    """One per picture of the job, as the negative ones."""
    negative_prompts: tuple[str, ...]
    cfg_scale: float | None
    """None: the first pass's, as with the next."""
    distilled_cfg_scale: float | None
    own_checkpoint: bool
    firstpass_image: Image.Image | None = None
    """Stands for the first pass: only the second is made."""

    @classmethod
    def from_context(cls, context: JobContext) -> HiresSpec:
        """Read the request and the settings.

        Raises:
            RequestError: a field cannot be used; the sentence names it.
        """
        spec, form, prepared = context.spec, context.spec.form, context.prepared
        image = None
        first = spec.width, spec.height
        if form.firstpass_image:
            image = flatten(
                read_input(prepared, form.firstpass_image, "firstpass_image"),
                str(spec.options.get("img2img_background_color", "#ffffff")),
            )
            first = _on_grid(image.width), _on_grid(image.height)
            image = image.crop((0, 0, *first)) if min(image.size) >= 8 else image.resize(first)
        old = (
            bool(spec.options.get("use_old_hires_fix_width_height", False))
            and image is None
            and not (form.hr_resize_x or form.hr_resize_y)
        )
        first, size = sizes(form, first, old_behaviour=old)
        _check_size(size)
        same_sampler = form.hr_sampler_name is None or form.hr_sampler_name in SAME
        same_schedule = form.hr_scheduler is None or form.hr_scheduler in SAME
        sampler, scheduler = resolve_sampler(
            spec.sampler.name if same_sampler else form.hr_sampler_name,
            spec.scheduler.name if same_schedule else form.hr_scheduler,
        )
        return cls(
            first=first,
            size=size,
            upscaler=_upscaler(form, prepared.resources),
            steps=form.hr_second_pass_steps or spec.steps,
            strength=form.denoising_strength,
            extra_noise=float(spec.options.get("img2img_extra_noise", 0.0)),
            sampler=sampler,
            scheduler=scheduler,
            prompts=_texts(prepared, "hires_prompts", form.hr_prompt, prepared.all_prompts),
            negative_prompts=_texts(
                prepared,
                "hires_negative_prompts",
                form.hr_negative_prompt,
                prepared.all_negative_prompts,
            ),
            cfg_scale=form.hr_cfg or None,
            distilled_cfg_scale=form.hr_distilled_cfg or None,
            own_checkpoint=context.models.has("hires"),
            firstpass_image=image,
        )


def _upscaler(form: GenerationRequest, resources: Mapping[str, Any]) -> str:
    name = form.hr_upscaler or "Latent"
    latent = find_latent_upscaling(name)
    if latent is not None:
        return latent.name
    known = (*PLAIN_UPSCALERS, *(resources.get("upscalers") or {}))
    if name not in known:
        latents = (entry.name for entry in LATENT_UPSCALINGS)
        raise NotFoundInList("hr_upscaler", name, [*latents, *known])
    return name


def _check_size(size: HiresSize) -> None:
    if max(size.upscale_width, size.upscale_height) > SIDE_LIMIT:
        asked = f"{size.upscale_width}x{size.upscale_height}"
        raise RequestError(
            "hr_scale",
            asked,
            f"the second pass would be {asked}; allowed: 8 to {SIDE_LIMIT} pixels a side.",
        )


def _texts(prepared: PreparedJob, key: str, own: str, usual: list[str]) -> tuple[str, ...]:
    """The second pass's texts: settled by the server, or the request's own, or the first's."""
    settled = prepared.resources.get(key)
    if isinstance(settled, list) and len(settled) == len(usual):
        return tuple(str(text) for text in settled)
    return tuple(own or text for text in usual)
