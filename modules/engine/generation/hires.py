"""Hires fix: the first pass's pictures enlarged and worked over once more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from modules.engine.checkpoints import LoadedModel
from modules.engine.checkpoints.families.flux import distilled_guidance
from modules.engine.generation.concat import ConcatSource
from modules.engine.generation.context import JobContext
from modules.engine.generation.depth import as_depth
from modules.engine.generation.finishing import Finisher
from modules.engine.generation.hires_spec import HiresSpec
from modules.engine.generation.inputs import read_depth_map
from modules.engine.generation.pictures import to_image, to_pixels
from modules.engine.generation.spec import PIXELS_PER_LATENT, BatchSpec
from modules.engine.generation.task import PassTask, Sampled, Start
from modules.engine.generation.token_merging import merging_ratio
from modules.requests.events import ModelLoading
from modules.requests.latent_upscaling import find_latent_upscaling


class HiresFix:
    """The second pass of a job."""

    def __init__(self, context: JobContext, spec: HiresSpec, finisher: Finisher) -> None:
        self._context = context
        self.spec = spec
        self._finisher = finisher
        self._checkpoint_label = ""
        form = context.spec.form
        self._old_style = bool(form.firstphase_width or form.firstphase_height) or (
            (context.spec.width, context.spec.height) != spec.first and spec.firstpass_image is None
        )

    def task(self, first: PassTask) -> PassTask | None:
        """The second walk; None when the strength is 0 and nothing is left to do."""
        spec = self.spec
        if spec.strength <= 0:
            return None
        return replace(
            first,
            width=spec.size.width,
            height=spec.size.height,
            sampler=spec.sampler,
            scheduler=spec.scheduler,
            steps=spec.steps,
            strength=spec.strength,
            exact_steps=True,
            extra_noise=spec.extra_noise,
            cfg_scale=first.cfg_scale if spec.cfg_scale is None else spec.cfg_scale,
            distilled_cfg_scale=spec.distilled_cfg_scale or first.distilled_cfg_scale,
            token_merging=merging_ratio(
                self._context.spec.options, self._context.spec.form.kind, second=True
            ),
            model="hires",
            first_calls=first.calls,
        )

    def planned_steps(self, first: PassTask) -> int:
        """Steps of both passes together."""
        spec, model = self._context.spec, self._context.models.current
        tasks = [self.task(first), first if self.spec.firstpass_image is None else None]
        return sum(task.plan(spec, model).total_steps for task in tasks if task is not None)

    def batch(self, batch: BatchSpec) -> BatchSpec:
        """The pictures of a batch with the second pass's prompts."""
        part = slice(batch.first, batch.first + len(batch))
        return replace(
            batch,
            prompts=self.spec.prompts[part],
            negative_prompts=self.spec.negative_prompts[part],
        )

    def start(self, batch: BatchSpec, first: Sampled | None) -> Start:
        """The enlarged pictures; ``first`` is None when a picture stands for the first pass."""
        latents = None if first is None else first.latents
        if find_latent_upscaling(self.spec.upscaler) is not None:
            return self._in_latents(batch, latents)
        return self._in_pixels(batch, latents)

    def merely_enlarged(self, first: Sampled | None, start: Start) -> Sampled:
        """What there is at strength 0: the enlarged pictures."""
        if first is not None:
            return first.with_latents(start.latents)
        spec, model = self._context.spec, self._context.models.current
        return Sampled(start.latents, PassTask.of(spec).plan(spec, model))

    # -- enlarging ----------------------------------------------------------------------------

    def _in_latents(self, batch: BatchSpec, latents: Tensor | None) -> Start:
        """Resize the latents; nothing is decoded."""
        if latents is None:
            pixels = to_pixels(self.spec.firstpass_image)
            model = self._second_model()
            latents = self._context.codec.encode(pixels).to(model.device)
            latents = latents.expand(len(batch), -1, -1, -1)
        elif self._keeps_first():
            for place, one in enumerate(latents):
                self._keep_first(batch, place, to_image(self._context.codec.decode(one)))
        size, way = self.spec.size, find_latent_upscaling(self.spec.upscaler)
        enlarged = torch.nn.functional.interpolate(
            latents,
            size=(
                size.upscale_height // PIXELS_PER_LATENT,
                size.upscale_width // PIXELS_PER_LATENT,
            ),
            mode=way.mode,
            antialias=way.antialias,
        )
        cut = self._cut(enlarged)
        model = self._second_model()
        return Start(cut, None, self._shown(model, cut, None))

    def _in_pixels(self, batch: BatchSpec, latents: Tensor | None) -> Start:
        """Decode, enlarge the pictures and encode them."""
        context = self._context
        pictures = [self.spec.firstpass_image]
        if latents is not None:
            with context.ledger.clock("decode"):
                pictures = [to_image(context.codec.decode(one)) for one in latents]
            for place, picture in enumerate(pictures):
                self._keep_first(batch, place, picture)
        with context.ledger.clock("upscale"):
            enlarged = [self._upscaled(picture) for picture in pictures]
        model = self._second_model()
        with context.ledger.clock("encode"):
            pixels = torch.cat([to_pixels(picture) for picture in enlarged])
            encoded = context.codec.encode(pixels)
        pixels = pixels[..., : encoded.shape[-2] * 8, : encoded.shape[-1] * 8]
        encoded, pixels = self._cut(encoded), self._cut(pixels, PIXELS_PER_LATENT)
        encoded = encoded.expand(len(batch), -1, -1, -1)
        return Start(encoded, None, self._shown(model, encoded, pixels))

    def _upscaled(self, picture: Image.Image) -> Image.Image:
        from modules.engine.postprocess.upscale import Upscaling

        context = self._context
        upscaling = Upscaling(
            context.models.current.device,
            context.prepared.resources,
            context.spec.options,
            context.working(self.spec.upscaler),
            context.control,
            dtype=context.models.current.policy.unet_dtype,
            warn=context.warn,
            loading=lambda name, fraction: context.emit(ModelLoading(name, fraction)),
        )
        size = self.spec.size
        return upscaling.upscale_to(
            picture, self.spec.upscaler, size.upscale_width, size.upscale_height
        )

    def _cut(self, rows: Tensor, unit: int = 1) -> Tensor:
        """Cut [batch, channels, height, width] to the target; ``unit``: its pixels per latent."""
        size = self.spec.size
        across = (size.upscale_width - size.width) // PIXELS_PER_LATENT
        down = (size.upscale_height - size.height) // PIXELS_PER_LATENT
        top, left = down // 2 * unit, across // 2 * unit
        height = size.height // PIXELS_PER_LATENT * unit
        width = size.width // PIXELS_PER_LATENT * unit
        return rows[..., top : top + height, left : left + width]

    def _second_model(self) -> LoadedModel:
        model = self._context.models.use("hires")
        if self.spec.own_checkpoint:
            self._checkpoint_label = model.label
        return model

    def _shown(self, model: LoadedModel, latents: Tensor, pixels: Tensor | None) -> ConcatSource:
        """The enlarged pictures, for models that look at one."""
        weight = float(self._context.spec.options.get("inpainting_mask_weight", 1.0))
        depth = read_depth_map(self._context.prepared, self._context.spec.form.depth_map)
        if model.variant == "depth" and depth is not None:
            return ConcatSource(pixels, depth=as_depth(depth))
        if pixels is None:
            if not (
                model.variant in ("edit", "depth") or (model.variant == "inpainting" and weight < 1)
            ):
                return ConcatSource()
            pixels = torch.stack([self._context.codec.decode(one) for one in latents])
        return ConcatSource(pixels, None, weight)

    # -- what is kept and told ------------------------------------------------------------------

    def _keeps_first(self) -> bool:
        return bool(self._context.spec.options.get("save_images_before_highres_fix", False))

    def _keep_first(self, batch: BatchSpec, place: int, picture: Image.Image) -> None:
        if self._keeps_first():
            self._finisher.emit(batch.first + place, picture, role="before_highres_fix")

    def infotext(self, outcome: Sampled, first_label: str) -> dict[str, Any]:
        """A1111's keys of the second pass, in its order."""
        spec, form = self.spec, self._context.spec.form
        extra: dict[str, Any] = {"Denoising strength": spec.strength}
        if self._checkpoint_label:
            extra["Hires checkpoint"] = self._checkpoint_label
        if spec.sampler.name != self._context.spec.sampler.name:
            extra["Hires sampler"] = spec.sampler.name
        if outcome.plan.schedule_label != first_label:
            extra["Hires schedule type"] = outcome.plan.schedule_label
        if form.hr_resize_x or form.hr_resize_y:
            extra["Hires resize"] = f"{form.hr_resize_x}x{form.hr_resize_y}"
        elif self._old_style:
            extra["Hires resize"] = f"{spec.size.width}x{spec.size.height}"
        else:
            extra["Hires upscale"] = form.hr_scale
        if form.hr_second_pass_steps:
            extra["Hires steps"] = form.hr_second_pass_steps
        extra["Hires upscaler"] = spec.upscaler
        if spec.cfg_scale is not None:
            extra["Hires CFG Scale"] = spec.cfg_scale
        told = distilled_guidance(self._context.spec.request, self._context.models.current.plan)
        if spec.distilled_cfg_scale is not None and told is not None:
            extra["Hires Distilled CFG Scale"] = spec.distilled_cfg_scale
        return extra

    def extra_of(self, batch: BatchSpec) -> Callable[[int], dict[str, Any]]:
        """Keys of single pictures: prompts where they differ from the first pass's."""
        second = self.batch(batch)

        def of(place: int) -> dict[str, Any]:
            extra = {}
            if second.prompts[place] != batch.prompts[place]:
                extra["Hires prompt"] = second.prompts[place]
            if second.negative_prompts[place] != batch.negative_prompts[place]:
                extra["Hires negative prompt"] = second.negative_prompts[place]
            return extra

        return of
