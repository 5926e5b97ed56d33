"""Where the pictures of a plan's units stand in their job, and the files that scripts make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modules.gallery import ImageSaveError, NameContext
from modules.gallery.saving import save_data
from modules.jobs.picture_plan import STEP
from modules.jobs.records import ImageRecord
from modules.settings.paths import Paths

UNIT = "unit"
"""Name of the fact that says which unit a picture belongs to."""
PICTURES = (".webp", ".gif")
"""Files that browsers show like pictures."""
KINDS = (".csv", ".mp4", *PICTURES)
"""Of the files that scripts may leave."""


@dataclass(frozen=True)
class UnitPlace:
    """A unit's place in its job."""

    number: int
    first: int
    """Index of its first picture among those of the job."""
    result: bool = True
    """Its pictures are results, no steps on the way."""

    def of(self, kept: ImageRecord) -> ImageRecord:
        """The picture as one of the whole job's."""
        kind = kept.kind
        if not self.result and kind == "image":
            kind = STEP
        facts = {**kept.facts, UNIT: self.number}
        return replace(kept, index=self.first + kept.index, kind=kind, facts=facts)


def of_unit(images: tuple[ImageRecord, ...], place: UnitPlace) -> list[ImageRecord]:
    """The whole pictures of one unit that are there, in order."""
    kind = "image" if place.result else STEP
    found = [
        image
        for image in images
        if image.facts.get(UNIT) == place.number
        and image.kind == kind
        and not image.facts.get("incomplete")
    ]
    return sorted(found, key=lambda image: image.index)


def write_file(
    data: bytes,
    name: str,
    suffix: str,
    context: NameContext,
    options: Mapping[str, Any],
    paths: Paths,
    kind: str,
) -> Path:
    """Save a script's file among the grids.

    Raises:
        ImageSaveError: it cannot be written, or is of no kind that scripts make.
    """
    if suffix not in KINDS:
        allowed = ", ".join(KINDS)
        raise ImageSaveError(f"A script cannot save a file {suffix!r}; allowed: {allowed}.")
    return save_data(data, suffix.lstrip("."), name, context, options, paths, kind=kind)
