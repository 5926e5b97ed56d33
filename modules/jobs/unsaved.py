"""Pictures that are not where they should be: brought there once the disk lets us."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from modules.gallery import EncodedImage, ImageReadError, ImageSaveError, SavedImage, open_image
from modules.jobs.picture_plan import PicturePlan, plan_picture
from modules.jobs.records import ImageRecord, JobRecord, UnknownJob
from modules.jobs.store import JobStore
from modules.requests import events
from modules.settings.paths import Paths

log = logging.getLogger("easel.jobs")

Write = Callable[[Image.Image, PicturePlan, str, EncodedImage], SavedImage]


@dataclass(frozen=True)
class Home:
    """Saves pictures after all, with the bytes that they were kept with."""

    paths: Paths
    version: str
    folders: Callable[[], Mapping[str, Any]]
    """The settings of the output folders in force: the user may have chosen others meanwhile."""
    read: Callable[[ImageRecord], bytes]
    write: Write

    def bring(self, store: JobStore, arrived: Callable[[ImageRecord], None]) -> None:
        """Save what could not be saved before; ``arrived`` hears of each picture.

        Grids are left where they are: the pictures that they are made of come home.

        Raises:
            ImageSaveError: a folder of the settings still refuses.
        """
        refused: dict[str, ImageSaveError] = {}
        for image in store.unsaved_images():
            if image.kind == "grid":
                continue
            try:
                record = store.get(image.job)
                if record.kind in refused:
                    continue
                picture, plan, encoded = self._planned(record, image)
            except (UnknownJob, OSError, ImageReadError, KeyError, IndexError) as error:
                log.warning("%s cannot be saved any more: %s", image.name, error)
                store.add_image(replace(image, note=None))
                continue
            try:
                saved = self.write(picture, plan, record.kind, encoded)
            except ImageSaveError as error:
                if plan.folder is None:  # a folder of the job's own is the job's own affair
                    refused[record.kind] = error
                continue
            arrived(self._kept(store, image, saved))
        for error in refused.values():
            raise error

    def _planned(
        self, record: JobRecord, image: ImageRecord
    ) -> tuple[Image.Image, PicturePlan, EncodedImage]:
        data = self.read(image)
        picture = open_image(data)
        event = events.ImageDone(
            image.job,
            image.index,
            image.width,
            image.height,
            picture.mode,
            facts=image.facts,
            role=image.kind,
        )
        plan = plan_picture(record, event, self.paths, self.version)
        plan = replace(plan, options={**plan.options, **self.folders()})
        return picture, plan, EncodedImage(data, Path(image.name).suffix.lstrip(".") or "png")

    def _kept(self, store: JobStore, image: ImageRecord, saved: SavedImage) -> ImageRecord:
        path, note = str(saved.path), saved.note or None
        kept = replace(image, path=path, name=saved.path.name, saved=True, note=note)
        store.add_image(kept)
        if image.path and Path(image.path).is_relative_to(self.paths.cache):
            with contextlib.suppress(OSError):
                Path(image.path).unlink()
        log.info("%s is saved after all", saved.path)
        return kept


def lost_from_memory(store: JobStore) -> list[ImageRecord]:
    """Pictures that were in memory alone when the program ended.

    Their jobs can be run again and give the same pictures.
    """
    return [image for image in store.unsaved_images() if not image.path]
