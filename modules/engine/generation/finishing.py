"""From final latents to finished pictures: decoded, faces restored, pasted back, handed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from modules.engine.generation.canvas import Canvas
from modules.engine.generation.context import JobContext
from modules.engine.generation.face_steps import repainted, restored
from modules.engine.generation.facts import picture_facts
from modules.engine.generation.hooks import (
    DecodeState,
    FinishedState,
    HookPoint,
    PictureState,
)
from modules.engine.generation.pictures import to_image
from modules.engine.generation.repaint import Repainter
from modules.engine.generation.spec import BatchSpec
from modules.engine.postprocess.safety import KEY, SafetyGuard
from modules.imaging.colour import match_colours, match_edges
from modules.imaging.overlay import changed_outside, paste_back
from modules.requests.events import ImageDone

CHANGED_OUTSIDE = "Pixels changed outside the mask"
"""Infotext key of the number that is counted on every inpainted picture."""


@dataclass(frozen=True)
class Finish:
    """What the pictures of one batch become after decoding."""

    schedule_label: str
    complete: bool
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Infotext keys of all pictures."""
    extra_of: Callable[[int], Mapping[str, Any]] = lambda place: {}
    """Infotext keys of one picture, by its place in the batch."""
    canvases: Sequence[Canvas] = ()
    """What each picture was made from, if anything."""
    overlays: Sequence[Image.Image | None] = ()
    """Masks that replace those of the canvases (soft inpainting), one per picture."""
    size: tuple[int, int] | None = None
    """Width and height for the infotext; None: the request's."""
    faces: bool = True
    """Faces may be restored and repainted, if the job wants it."""


class Finisher:
    """Finishes and hands over the pictures of one job."""

    def __init__(self, context: JobContext, model_facts: Mapping[str, Any]) -> None:
        self._context = context
        self._model_facts = model_facts
        self._options = context.spec.options
        self._guard = SafetyGuard.of_job(self._options, context.prepared.resources)

    def finish(
        self, batch: BatchSpec, latents: Tensor, finish: Finish, repainter: Repainter
    ) -> None:
        """Finish each picture and hand it over as soon as it is there."""
        hooks = self._context.hooks
        if hooks.wanted(HookPoint.BEFORE_DECODE):
            sampled = DecodeState(self._context.spec.job, batch.iteration, batch.first, latents)
            hooks.call(HookPoint.BEFORE_DECODE, sampled)
            latents = sampled.latents
        decoded = self._decoded(batch, latents)
        guests = hooks.wanted(HookPoint.FACES_DONE, HookPoint.MASK_OVERLAY, HookPoint.FINISHED)
        if guests or (finish.complete and self._context.spec.form.detailer is not None):
            # The detailer may need another checkpoint than the one that decodes, and so may guests.
            decoded = iter(list(decoded))
        for place, picture in enumerate(decoded):
            self.hand_over(batch, place, picture, finish, repainter)

    def hand_over(
        self,
        batch: BatchSpec,
        place: int,
        picture: Image.Image,
        finish: Finish,
        repainter: Repainter,
    ) -> None:
        """Finish one decoded picture and emit it with its facts."""
        extra: dict[str, Any] = {**finish.extra, **finish.extra_of(place)}
        canvas = finish.canvases[place] if finish.canvases else None
        overlay = None if canvas is None else canvas.overlay
        if finish.overlays and finish.overlays[place] is not None:
            overlay = finish.overlays[place]
        index = batch.first + place
        if finish.complete and finish.faces:
            picture = self._on_faces(batch, place, picture, extra, repainter)
        seen = FinishedState(
            self._context.spec.job,
            batch.iteration,
            place,
            index,
            batch.seeds[place],
            picture,
            extra,
            overlay,
        )
        picture = self._seen(HookPoint.FACES_DONE, seen)
        if overlay is not None:
            self._seen(HookPoint.MASK_OVERLAY, seen)
            overlay = seen.overlay
        painted = self._recoloured(index, picture, canvas, overlay, extra)
        seen.image = self._laid_back(painted, canvas, overlay, extra)
        picture = self._seen(HookPoint.FINISHED, seen)
        extra.update(self._context.networks.infotext(index))
        extra.update(self._context.repairs())
        facts = picture_facts(
            self._context.spec, batch, finish.schedule_label, place, self._model_facts, extra
        )
        if finish.size is not None:
            facts["width"], facts["height"] = finish.size
        if not finish.complete:
            facts["incomplete"] = True
        self.emit(index, picture, facts)
        self._context.ledger.pictures += 1
        if canvas is not None and overlay is not None:
            self._emit_masks(index, canvas, overlay, painted)

    def emit(
        self,
        index: int,
        picture: Image.Image,
        facts: Mapping[str, Any] | None = None,
        role: str = "image",
    ) -> None:
        """Hand a picture over."""
        facts = dict(facts or {})
        if self._guard is not None and role != "mask":
            picture, done = self._guard.passed(index, picture)
            if done and role == "image":
                facts["extra"] = {**(facts.get("extra") or {}), KEY: done}
                self._context.warn(f"The safety checker: picture {index + 1} was {done}.")
        self._context.emit(
            ImageDone(
                job=self._context.spec.job,
                index=index,
                role=role,
                width=picture.width,
                height=picture.height,
                mode=picture.mode,
                data=np.ascontiguousarray(np.asarray(picture)).tobytes(),
                facts=facts,
            )
        )

    # -- steps ----------------------------------------------------------------------------------

    def _seen(self, point: HookPoint, state: FinishedState) -> Image.Image:
        """The picture after those who listen at a point."""
        self._context.hooks.call(point, state)
        return state.image

    def _decoded(self, batch: BatchSpec, latents: Tensor) -> Iterator[Image.Image]:
        hooks = self._context.hooks
        pixels = self._pixels(batch, latents)
        if hooks.wanted(HookPoint.DECODED_BATCH):
            state = DecodeState(self._context.spec.job, batch.iteration, batch.first, latents)
            state.pixels = list(pixels)
            hooks.call(HookPoint.DECODED_BATCH, state)
            pixels = iter(state.pixels)
        return map(to_image, pixels)

    def _pixels(self, batch: BatchSpec, latents: Tensor) -> Iterator[Tensor]:
        context = self._context
        for place, one in enumerate(latents):
            with context.ledger.clock("decode"):
                pixels = context.codec.decode(one)
                state = PictureState(
                    context.spec.job, batch.first + place, batch.seeds[place], pixels
                )
                context.hooks.call(HookPoint.POST_DECODE, state)
            yield state.pixels

    def _on_faces(
        self,
        batch: BatchSpec,
        place: int,
        picture: Image.Image,
        extra: dict[str, Any],
        repainter: Repainter,
    ) -> Image.Image:
        """Faces restored and repainted, if the job or the settings want it."""
        index = batch.first + place

        def keep(before: Image.Image) -> None:
            if self._options.get("save_images_before_face_restoration", False):
                self.emit(index, before, role="before_face_restoration")

        picture = restored(self._context, picture, extra, keep)
        return repainted(self._context, batch, place, picture, extra, repainter)

    def _recoloured(
        self,
        index: int,
        picture: Image.Image,
        canvas: Canvas | None,
        overlay: Image.Image | None,
        extra: dict[str, Any],
    ) -> Image.Image:
        """Colours matched to those of the picture before, if the settings want it."""
        if canvas is None:
            return picture
        if self._options.get("img2img_color_correction", False):
            if self._options.get("save_images_before_color_correction", False):
                before = picture
                if canvas.original is not None and overlay is not None:
                    before = paste_back(canvas.original, picture, overlay, canvas.box)
                self.emit(index, before, role="before_color_correction")
            picture = match_colours(picture, canvas.source)
        if canvas.mask is not None and self._options.get("inpaint_match_edges", False):
            picture = match_edges(canvas.before, picture, canvas.mask)
            extra["Match edges"] = True
        return picture

    def _laid_back(
        self,
        painted: Image.Image,
        canvas: Canvas | None,
        overlay: Image.Image | None,
        extra: dict[str, Any],
    ) -> Image.Image:
        """The repainted part in the original, unless the settings say otherwise."""
        if canvas is None or canvas.original is None or overlay is None:
            return painted
        if self._options.get("overlay_inpaint", True):
            picture = paste_back(canvas.original, painted, overlay, canvas.box)
        elif canvas.box is None:
            picture = painted
        else:
            return painted  # the part alone, as A1111 gives it
        extra[CHANGED_OUTSIDE] = changed_outside(canvas.original, picture, canvas.overlay)
        return picture

    def _emit_masks(
        self, index: int, canvas: Canvas, overlay: Image.Image, painted: Image.Image
    ) -> None:
        """The mask, and what was painted with the rest transparent, if the settings want them."""
        options = self._options
        if options.get("return_mask", False) or options.get("save_mask", False):
            self.emit(index, overlay.convert("RGB"), role="mask")
        if options.get("return_mask_composite", False) or options.get("save_mask_composite", False):
            whole = Image.new("RGB", overlay.size)
            whole = paste_back(whole, painted, None, canvas.box)
            whole.putalpha(overlay)
            self.emit(index, whole, role="mask_composite")
