"""From final latents to finished pictures: decoded, faces restored, pasted back, handed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from modules.engine.checkpoints import ModelLoadError
from modules.engine.generation.canvas import Canvas
from modules.engine.generation.context import JobContext
from modules.engine.generation.control import StopSampling
from modules.engine.generation.facts import picture_facts
from modules.engine.generation.hooks import HookPoint, PictureState
from modules.engine.generation.pictures import to_image
from modules.engine.generation.repaint import Repainter
from modules.engine.generation.spec import BatchSpec
from modules.imaging.overlay import changed_outside, paste_back
from modules.requests.errors import RequestError
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

    def finish(
        self, batch: BatchSpec, latents: Tensor, finish: Finish, repainter: Repainter
    ) -> None:
        """Finish each picture and hand it over as soon as it is there."""
        decoded = self._decoded(batch, latents)
        if self._detailed(finish):
            # The detailer may need another checkpoint than the one that decodes.
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
        pasting = bool(self._options.get("overlay_inpaint", True))
        index = batch.first + place
        if finish.complete and finish.faces:
            picture = self._restored(index, picture, extra)
            picture = self._with_details(batch, place, picture, extra, repainter)
        painted = self._recoloured(index, picture, canvas)
        if canvas is not None and canvas.original is not None and overlay is not None and pasting:
            picture = paste_back(canvas.original, painted, overlay, canvas.box)
            changed = changed_outside(canvas.original, picture, overlay)
            extra[CHANGED_OUTSIDE] = changed
        else:
            picture = painted
            if canvas is not None and canvas.overlay is not None and canvas.box is None:
                extra[CHANGED_OUTSIDE] = changed_outside(canvas.original, picture, canvas.overlay)
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
        self._context.emit(
            ImageDone(
                job=self._context.spec.job,
                index=index,
                role=role,
                width=picture.width,
                height=picture.height,
                mode=picture.mode,
                data=np.ascontiguousarray(np.asarray(picture)).tobytes(),
                facts=dict(facts or {}),
            )
        )

    # -- steps ----------------------------------------------------------------------------------

    def _decoded(self, batch: BatchSpec, latents: Tensor) -> Iterator[Image.Image]:
        context = self._context
        for place, one in enumerate(latents):
            with context.ledger.clock("decode"):
                pixels = context.codec.decode(one)
                state = PictureState(
                    context.spec.job, batch.first + place, batch.seeds[place], pixels
                )
                context.hooks.call(HookPoint.POST_DECODE, state)
                picture = to_image(state.pixels)
            yield picture

    def _restored(self, index: int, picture: Image.Image, extra: dict[str, Any]) -> Image.Image:
        """Faces restored, if the job or the settings want it."""
        wanted = self._context.spec.form.restore_faces
        if not (self._options.get("face_restoration", False) if wanted is None else wanted):
            return picture
        from modules.engine.postprocess.faces import restore_faces

        context = self._context
        method = str(self._options.get("face_restoration_model") or "CodeFormer")
        weight = float(self._options.get("code_former_weight", 0.5))
        try:
            with context.ledger.clock("faces"):
                restored = restore_faces(
                    picture,
                    method,
                    1.0,
                    weight,
                    context.prepared.resources,
                    context.models.current.device,
                    watch=lambda done, total: context.control.check(),
                )
        except StopSampling:
            return picture
        except (RequestError, ModelLoadError) as error:
            context.warn(f"Faces were not restored: {error.sentence}")
            return picture
        if self._options.get("save_images_before_face_restoration", False):
            self.emit(index, picture, role="before_face_restoration")
        extra["Face restoration"] = method
        return restored

    def _detailed(self, finish: Finish) -> bool:
        return finish.complete and self._context.spec.form.detailer is not None

    def _with_details(
        self,
        batch: BatchSpec,
        place: int,
        picture: Image.Image,
        extra: dict[str, Any],
        repainter: Repainter,
    ) -> Image.Image:
        """Faces repainted at full resolution, if the job wants it."""
        spec = self._context.spec.form.detailer
        if spec is None:
            return picture
        from modules.engine.generation.detailer import detail_faces
        from modules.engine.postprocess.faces.detector import shared_detector

        context = self._context
        try:
            with context.ledger.clock("details"):
                detailed, facts = detail_faces(
                    picture,
                    spec,
                    repainter.of(place),
                    shared_detector(),
                    context.spec.form,
                    batch.seeds[place],
                    context.warn,
                    prompt=batch.prompts[place],
                    negative_prompt=batch.negative_prompts[place],
                )
        except StopSampling:
            return picture
        except RequestError as error:
            context.warn(f"The detailer did nothing: {error.sentence}")
            return picture
        extra.update(facts)
        return detailed

    def _recoloured(self, index: int, picture: Image.Image, canvas: Canvas | None) -> Image.Image:
        """Colours matched to those of the picture before, if the settings want it."""
        if canvas is None or not self._options.get("img2img_color_correction", False):
            return picture
        from modules.imaging.colour import match_colours

        if self._options.get("save_images_before_color_correction", False):
            before = picture
            if canvas.original is not None and canvas.overlay is not None:
                before = paste_back(canvas.original, picture, canvas.overlay, canvas.box)
            self.emit(index, before, role="before_color_correction")
        return match_colours(picture, canvas.source)

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
