"""What is done to the faces of a finished picture: restoring them, or painting them anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from modules.catalog.errors import ModelFileError
from modules.engine.checkpoints import ModelLoadError
from modules.engine.generation.context import JobContext
from modules.engine.generation.control import StopSampling
from modules.engine.generation.repaint import Repainter
from modules.engine.generation.spec import BatchSpec
from modules.requests.errors import RequestError
from modules.requests.events import ModelLoading

VISIBILITY = 1.0
"""Of restored faces inside generation; Extras has a slider for it."""


def restored(
    context: JobContext,
    picture: Image.Image,
    extra: dict[str, Any],
    keep: Callable[[Image.Image], None],
) -> Image.Image:
    """The picture with its faces restored, if the job or the settings want it.

    What cannot be done is told and left out: the picture is not lost.

    Args:
        extra: gets the infotext's key.
        keep: takes the picture before, when something is done to it.
    """
    options, wanted = context.spec.options, context.spec.form.restore_faces
    if not (options.get("face_restoration", False) if wanted is None else wanted):
        return picture
    from modules.engine.postprocess.faces import forget_restorers, restore_faces

    method = str(options.get("face_restoration_model") or "CodeFormer")
    weight = float(options.get("code_former_weight", 0.5))
    tell = context.working(method)

    def watch(done: int, total: int) -> None:
        context.control.check()
        tell(done, total)

    try:
        with context.ledger.clock("faces"):
            result = restore_faces(
                picture,
                method,
                VISIBILITY,
                weight,
                context.prepared.resources,
                context.models.current.device,
                watch=watch,
                fetch=lambda info: _fetched(context, info),
            )
    except StopSampling:
        return picture
    except (RequestError, ModelLoadError) as error:
        context.warn(f"Faces were not restored: {error.sentence}")
        return picture
    except ModelFileError as error:
        context.warn(f"Faces were not restored: {error}")
        return picture
    if options.get("face_restoration_unload", False):
        forget_restorers()
    keep(picture)
    extra["Face restoration"] = method
    return result


def repainted(
    context: JobContext,
    batch: BatchSpec,
    place: int,
    picture: Image.Image,
    extra: dict[str, Any],
    repainter: Repainter,
) -> Image.Image:
    """The picture with its faces painted anew at full resolution, if the job wants it."""
    spec = context.spec.form.detailer
    if spec is None:
        return picture
    from modules.engine.generation.detailer import detail_faces
    from modules.engine.postprocess.faces import shared_detector

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
    except ModelFileError as error:
        context.warn(f"The detailer did nothing: {error}")
        return picture
    extra.update(facts)
    return detailed


def _fetched(context: JobContext, info: Any) -> Path:
    """Download a restorer's file, in sight of the user."""
    from modules.catalog.download import DownloadCancelled, fetch_model

    def tell(fraction: float) -> None:
        context.emit(ModelLoading(info.name, fraction))

    try:
        return fetch_model(info, info.path.parent, tell, lambda: context.control.stops)
    except DownloadCancelled as error:
        raise StopSampling from error
