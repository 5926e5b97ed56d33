"""One repainting pass on a finished picture: for outpainting and for the detailer."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image

from modules.engine.generation.canvas import MaskSettings, prepare_canvas
from modules.engine.generation.context import JobContext, StepCount
from modules.engine.generation.control import StopSampling
from modules.engine.generation.hooks import BatchState
from modules.engine.generation.latent_start import LatentStart
from modules.engine.generation.pictures import to_image
from modules.engine.generation.spec import BatchSpec
from modules.engine.generation.task import PassTask
from modules.engine.generation.walk import Walk
from modules.imaging.overlay import changed_outside, paste_back


class Repainter:
    """Repaints pictures with the job's sampler, steps, guidance and checkpoint."""

    def __init__(self, context: JobContext, batch: BatchSpec, count: StepCount) -> None:
        self._context = context
        self._batch = batch
        self._count = count
        self.changed_outside = 0
        """Pixels outside of masks that the last :meth:`repaint` changed, counted."""

    @property
    def own_side(self) -> int:
        """Side in pixels of the pictures that the checkpoint was trained on."""
        return self._context.models.current.own_side

    def of(self, place: int) -> Repainter:
        """For one picture of a batch."""
        return Repainter(self._context, self._batch.only(place), self._count)

    def expect(self, passes: int, strength: float) -> None:
        """So many calls of :meth:`repaint` will follow: lets progress know its end."""
        task = self._task(64, 64, strength)
        plan = task.plan(self._context.spec, self._context.models.current)
        self._count.expect(passes * plan.total_steps)

    def repaint(
        self,
        image: Image.Image,
        mask: Image.Image | None,
        *,
        width: int,
        height: int,
        strength: float,
        prompt: str,
        negative_prompt: str,
        seed: int,
        subseed: int = 0,
        mask_blur: float = 4,
        fill: int = 1,
        full_res: bool = False,
        padding: int = 32,
        label: str = "",
    ) -> Image.Image:
        """Run one img2img or inpainting pass.

        Args:
            image: RGB, any size.
            mask: white is repainted, of the image's size; None: all of it.
            width, height: of what is rendered, in pixels; rounded down to multiples of 8.
            strength: denoising strength, 0 to 1.
            mask_blur: sigma in pixels.
            fill: masked content: 0 fill, 1 original, 2 latent noise, 3 latent nothing.
            full_res: render only the masked area with ``padding`` pixels around it.
            label: what is repainted, for messages.

        Returns:
            RGB: with ``full_res`` of the image's size, else ``width`` x ``height``. Outside of the
            blurred mask its bytes are those of ``image`` (resized, where it was).

        Raises:
            StopSampling: the job was interrupted or the picture skipped.
        """
        context = self._context
        context.control.check()
        task = self._task(width // 8 * 8, height // 8 * 8, strength)
        settings = MaskSettings(
            blur_x=mask_blur,
            blur_y=mask_blur,
            content=fill,
            only_masked=full_res,
            padding=padding,
        )
        canvas = prepare_canvas(
            image, task.width, task.height, mask=mask, settings=settings, warn=context.warn
        )
        batch = replace(
            self._batch.only(0),
            prompts=(prompt,),
            negative_prompts=(negative_prompt,),
            seeds=(seed,),
            subseeds=(subseed,),
        )
        context.models.use(task.model)
        start = LatentStart(context, settings).of([canvas], task, batch)
        state = BatchState(
            context.spec.job, batch.iteration, batch.prompts, batch.negative_prompts, batch.seeds
        )
        outcome = Walk(context, task, batch, start, state, self._count).run()
        if outcome is None or not outcome.complete:
            raise StopSampling(label)
        with context.ledger.clock("decode"):
            painted = to_image(context.codec.decode(outcome.latents[0]))
        if canvas.original is None or canvas.overlay is None:
            self.changed_outside = 0
            return painted
        final = paste_back(canvas.original, painted, canvas.overlay, canvas.box)
        self.changed_outside = changed_outside(canvas.original, final, canvas.overlay)
        return final

    def _task(self, width: int, height: int, strength: float) -> PassTask:
        options = self._context.spec.options
        return PassTask.of(
            self._context.spec,
            width=width,
            height=height,
            strength=strength,
            exact_steps=bool(options.get("img2img_fix_steps", False)),
            refines=False,
        )
