"""The job "img2img": pictures from pictures, with a mask, outpainted, or as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from modules.engine.generation.canvas import Canvas, prepare_canvas
from modules.engine.generation.context import StepCount
from modules.engine.generation.control import StopSampling
from modules.engine.generation.facts import sampling_infotext, shown_infotext, text_infotext
from modules.engine.generation.finishing import Finish
from modules.engine.generation.hooks import BatchState
from modules.engine.generation.image_spec import ImageSpec
from modules.engine.generation.inputs import read_depth_map, read_input
from modules.engine.generation.job import PictureJob
from modules.engine.generation.latent_start import LatentStart
from modules.engine.generation.soft_masks import soft_overlays
from modules.engine.generation.spec import BatchSpec
from modules.engine.generation.task import PassTask, Sampled, Start
from modules.imaging.resizing import Upscale, flatten
from modules.requests.errors import RequestError
from modules.requests.events import ModelLoading


class ImageToImage(PictureJob):
    """Carries out one img2img job."""

    _image: ImageSpec
    _canvases: list[Canvas]
    _grown: list[Image.Image]
    _starts: LatentStart

    def _prepare(self) -> None:
        self._image = ImageSpec.from_spec(self._spec)
        pictures = self._pictures()
        if self._spec.form.outpaint is not None:
            self._grown = pictures
            return
        mask, latent_mask = self._masks()
        with self.ledger.clock("prepare"):
            self._canvases = [
                prepare_canvas(
                    picture,
                    self._spec.width,
                    self._spec.height,
                    resize_mode=self._image.resize_mode,
                    background=self._image.background,
                    mask=mask,
                    latent_mask=latent_mask,
                    settings=self._image.mask,
                    upscale=self._upscale(),
                    warn=self._context.warn,
                )
                for picture in pictures
            ]
        depth = read_depth_map(self._context.prepared, self._spec.form.depth_map)
        self._starts = LatentStart(self._context, self._image.mask, self._image.soft, depth=depth)

    def _make_batch(self, batch: BatchSpec, state: BatchState, count: StepCount) -> None:
        if self._spec.form.outpaint is not None:
            self._make_outpainted(batch, count)
            return
        task = self._task()
        model = self._context.models.use(task.model)
        canvases = _dealt(self._canvases, len(batch))
        start = self._starts.of(canvases, task, batch)
        outcome = self._walk(task, batch, start, state, count)
        if outcome is None:
            return  # stopped before the first step: there is nothing to show
        extra = {
            **self._image.infotext(masked=canvases[0].mask is not None),
            **shown_infotext(self._spec, model),
            **self._extra(outcome),
        }
        finish = Finish(
            outcome.plan.schedule_label,
            outcome.complete,
            extra,
            canvases=canvases,
            overlays=self._soft_overlays(canvases, start, outcome),
        )
        self._finisher.finish(batch, outcome.latents, finish, self.repainter(batch, count))

    def _task(self) -> PassTask:
        image = self._image
        return PassTask.of(
            self._spec,
            strength=image.strength,
            exact_steps=image.exact_steps,
            noise_multiplier=image.noise_multiplier,
            extra_noise=image.extra_noise,
        )

    # -- outpainting ----------------------------------------------------------------------------

    def _make_outpainted(self, batch: BatchSpec, count: StepCount) -> None:
        from modules.engine.generation.outpaint import count_windows, outpaint

        spec, form = self._spec, self._spec.form
        model = self._context.models.use("base")
        plan = self._task().plan(spec, model)
        pictures = [flatten(one, self._image.background) for one in self._grown]
        pictures = _dealt(pictures, len(batch))
        repainter = self.repainter(batch, count)
        size = spec.width, spec.height
        windows = sum(count_windows(picture, form.outpaint, size) for picture in pictures)
        repainter.expect(windows, self._image.strength)
        for place, picture in enumerate(pictures):
            request = {
                **spec.request,
                "prompt": batch.prompts[place],
                "negative_prompt": batch.negative_prompts[place],
            }
            try:
                result = outpaint(
                    picture,
                    form.outpaint,
                    repainter.of(place),
                    request,
                    batch.seeds[place],
                    self._context.warn,
                )
            except StopSampling:
                return
            extra = {
                **self._image.infotext(masked=False),
                **shown_infotext(spec, model),
                **sampling_infotext(spec, plan, self._image.extra_noise),
                **result.facts,
            }
            finish = Finish(plan.schedule_label, result.complete, extra, faces=False)
            self._finisher.hand_over(batch, place, result.image, finish, repainter)

    # -- inputs ---------------------------------------------------------------------------------

    def _pictures(self) -> list[Image.Image]:
        form, prepared = self._spec.form, self._context.prepared
        if not form.init_images:
            raise RequestError("init_images", None, "img2img needs a picture; none was given.")
        if len(form.init_images) > form.batch_size > 0 and len(form.init_images) > 1:
            raise RequestError(
                "init_images",
                len(form.init_images),
                f"{len(form.init_images)} pictures were given for a batch of {form.batch_size}; "
                "allowed: one for all, or at most as many as the batch size.",
            )
        return [read_input(prepared, one, "init_images") for one in form.init_images]

    def _masks(self) -> tuple[Image.Image | None, Image.Image | None]:
        form, prepared = self._spec.form, self._context.prepared
        if not form.mask:
            return None, None
        latent = form.latent_mask
        return (
            read_input(prepared, form.mask, "mask"),
            read_input(prepared, latent, "latent_mask") if latent else None,
        )

    def _upscale(self) -> Upscale | None:
        """The upscaler of the settings, for pictures that have to grow."""
        name = self._spec.options.get("upscaler_for_img2img")
        if not name or name in ("None", "Lanczos"):
            return None
        from modules.engine.postprocess.upscale import Upscaling

        context = self._context
        upscaling = Upscaling(
            context.models.current.device,
            context.prepared.resources,
            self._spec.options,
            context.working(str(name)),
            context.control,
            dtype=context.models.current.policy.unet_dtype,
            warn=context.warn,
            loading=lambda name, fraction: context.emit(ModelLoading(name, fraction)),
        )
        return lambda image, scale: upscaling.upscale(image, str(name), scale)

    # -- what is told ---------------------------------------------------------------------------

    def _soft_overlays(
        self, canvases: Sequence[Canvas], start: Start, outcome: Sampled
    ) -> Sequence[Image.Image | None]:
        if self._image.soft is None or start.blend is None:
            return ()
        return soft_overlays(self._image.soft, canvases, start.blend, outcome.latents)

    def _extra(self, outcome: Sampled) -> dict[str, Any]:
        return {
            **text_infotext(self._spec, outcome.prompts),
            **sampling_infotext(self._spec, outcome.plan, self._image.extra_noise),
            **outcome.extra,
        }


def _dealt(rows: Sequence[Any], count: int) -> list[Any]:
    """One entry per picture of a batch: the only one for all, or each its own."""
    return [rows[place % len(rows)] for place in range(count)]
