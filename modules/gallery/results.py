"""Saving what the engine delivered: from its facts to a named file with its infotext."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from PIL import Image

from modules.gallery.parameters import image_infotext
from modules.gallery.patterns import context_of
from modules.gallery.saving import SavedImage, write_grid, write_image
from modules.settings.paths import Paths


def save_image(
    image: Image.Image,
    facts: Mapping[str, Any],
    request: Mapping[str, Any],
    options: Mapping[str, Any],
    paths: Paths,
    *,
    infotext: str | None = None,
    templates: Sequence[str] | None = None,
    version: str = "",
    user: str = "",
    kind: str | None = None,
    all_seeds: Sequence[int] = (),
    index: int = 0,
    job_started: datetime | None = None,
) -> SavedImage:
    """Save image number `index` (from 0) of a job; without `infotext` it is made from the facts.

    Raises:
        DiskFullError: no space is left; the picture is unharmed.
        ImageSaveError: the folder cannot be made or written, or the format is unknown.
    """
    if infotext is None:
        infotext = image_infotext(
            facts, request, options, templates=templates, version=version, user=user
        )
    batch_size = max(1, int(request.get("batch_size") or 1))
    context = context_of(
        facts,
        request,
        options,
        user=user,
        all_seeds=tuple(all_seeds),
        batch_index=index % batch_size,
        iteration=index // batch_size,
        job_started=job_started,
    )
    kind = kind or str(request.get("kind") or "txt2img")
    return write_image(image, infotext, context, options, paths, kind=kind)


def save_grid(
    images: Sequence[Image.Image],
    facts: Mapping[str, Any],
    request: Mapping[str, Any],
    options: Mapping[str, Any],
    paths: Paths,
    *,
    infotext: str | None = None,
    version: str = "",
    kind: str | None = None,
    all_seeds: Sequence[int] = (),
    job_started: datetime | None = None,
) -> tuple[Image.Image, SavedImage]:
    """Make and save the grid of a job's pictures; `facts` are those of the first one.

    Raises:
        GalleryError: the grid would be too large.
        ImageSaveError: as `save_image`.
    """
    if infotext is None:
        infotext = image_infotext(facts, request, options, version=version)
    context = context_of(
        facts, request, options, all_seeds=tuple(all_seeds), job_started=job_started
    )
    kind = kind or str(request.get("kind") or "txt2img")
    return write_grid(images, infotext, context, options, paths, kind=kind)
