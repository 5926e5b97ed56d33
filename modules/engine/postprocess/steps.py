"""The steps of Extras: what each makes of a picture, and what the infotext says about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from modules.catalog.download import DownloadCancelled, fetch_model
from modules.catalog.errors import ModelFileError
from modules.engine.checkpoints.errors import ModelLoadError
from modules.engine.generation.control import JobControl, StopSampling
from modules.engine.postprocess.counting import Counter
from modules.engine.postprocess.dataset import auto_size, centre_crop, flipped, split_oversized
from modules.engine.postprocess.enlarging import Target, enlarge
from modules.engine.postprocess.focal import FocalWeights, focal_crop
from modules.engine.postprocess.upscale import Upscaling
from modules.requests.extras import DatasetSteps, ExtrasRequest
from modules.requests.prepared import PreparedJob
from modules.settings.paths import Paths

if TYPE_CHECKING:
    from modules.catalog.restorers import RestorerInfo

ORDER_OPTION = "postprocessing_operation_order"
"""A1111's setting: names of the operations in the order they shall run, the others behind."""
KEEP_INTERROGATORS = "interrogate_keep_models_in_memory"
FACE_CONFIDENCE = 0.8


@dataclass(frozen=True)
class Item:
    """A picture on its way through the steps."""

    image: Image.Image
    name: str = ""
    """What people call it."""
    info: dict[str, Any] = field(default_factory=dict)
    suffix: str = ""
    caption: str | None = None

    def having(self, image: Image.Image, **info: Any) -> Item:
        """The same picture after a step."""
        return replace(self, image=image, info={**self.info, **info})


@dataclass(frozen=True)
class Operation:
    """One step that was asked for: A1111's name, and what it makes of a picture."""

    name: str
    run: Callable[[Item], list[Item]]


@dataclass(frozen=True)
class Surroundings:
    """What the steps work with."""

    prepared: PreparedJob
    control: JobControl
    counter: Counter
    upscaling: Upscaling
    device: torch.device
    paths: Paths
    warn: Callable[[str], None]
    loading: Callable[[str, float], None]
    """Hears the name and the fraction of a model that is downloaded or loaded."""


class Steps:
    """The steps that a request asks for."""

    def __init__(self, request: ExtrasRequest, around: Surroundings) -> None:
        self._request = request
        self._around = around

    def operations(self) -> list[Operation]:
        """The steps of this job in their order."""
        request = self._request
        upscale = Operation("Upscale", self._upscale)
        faces = []
        if request.gfpgan_visibility > 0:
            faces.append(Operation("GFPGAN", self._gfpgan))
        if request.codeformer_visibility > 0:
            faces.append(Operation("CodeFormer", self._codeformer))
        wanted = [] if request.upscaler_1 == "None" else [upscale]
        main = [*wanted, *faces] if request.upscale_first else [*faces, *wanted]
        steps = request.dataset
        operations = [*main, *(self._dataset_operations(steps) if steps else ())]
        named = list(self._around.prepared.options.get(ORDER_OPTION) or ())
        if named:
            last = len(named)
            operations.sort(key=lambda one: named.index(one.name) if one.name in named else last)
        return operations

    def planned(self, operations: list[Operation], image: Image.Image) -> dict[str, int]:
        """About how many tiles each step will take."""
        planned = {operation.name: 1 for operation in operations}
        if "Upscale" in planned:
            target = Target.of(self._request, image.size)
            names = [self._request.upscaler_1]
            if self._request.extras_upscaler_2_visibility > 0:
                names.append(self._request.upscaler_2)
            planned["Upscale"] = sum(
                self._around.upscaling.planned(name, image.size, target.width, target.height)
                for name in names
                if name != "None"
            )
        return planned

    def _dataset_operations(self, steps: DatasetSteps) -> Iterator[Operation]:
        if steps.split_oversized:
            yield Operation("Split oversized images", lambda item: self._split(item, steps))
        if steps.focal_crop:
            yield Operation("Auto focal point crop", lambda item: self._focal(item, steps))
        if steps.auto_sized_crop:
            yield Operation("Auto-sized crop", lambda item: self._auto_sized(item, steps))
        if steps.flipped_copies:
            yield Operation("Create flipped copies", self._flip)
        if steps.caption != "none":
            yield Operation("Caption", lambda item: self._caption(item, steps))

    def _upscale(self, item: Item) -> list[Item]:
        places = int(self._around.prepared.options.get("upscaling_max_images_in_cache", 5))
        image, info = enlarge(
            item.image,
            self._request,
            self._around.upscaling,
            self._around.counter.upscaler,
            places=places,
        )
        return [item.having(image, **info)]

    def _gfpgan(self, item: Item) -> list[Item]:
        visibility = self._request.gfpgan_visibility
        image = self._restored(item.image, "GFPGAN", visibility, 0.0)
        return [item.having(image, **{"GFPGAN visibility": round(visibility, 3)})]

    def _codeformer(self, item: Item) -> list[Item]:
        visibility, weight = self._request.codeformer_visibility, self._request.codeformer_weight
        image = self._restored(item.image, "CodeFormer", visibility, weight)
        info = {
            "CodeFormer visibility": round(visibility, 3),
            "CodeFormer weight": round(weight, 3),
        }
        return [item.having(image, **info)]

    def _restored(
        self, image: Image.Image, method: str, visibility: float, weight: float
    ) -> Image.Image:
        from modules.engine.postprocess.faces import restore_faces

        def watch(done: int, total: int) -> None:
            self._around.control.check()
            self._around.counter.tiles(done, total)

        try:
            return restore_faces(
                image,
                method,
                visibility,
                weight,
                self._around.prepared.resources,
                self._around.device,
                watch=watch,
                fetch=self._fetch,
            )
        except ModelFileError as error:
            raise ModelLoadError.of(error, error.path) from error

    def _fetch(self, info: RestorerInfo) -> Path:
        try:
            return fetch_model(
                info,
                info.path.parent,
                lambda fraction: self._around.loading(info.name, fraction),
                lambda: self._around.control.interrupted,
            )
        except DownloadCancelled as error:
            raise StopSampling from error

    # -- the steps for data sets --------------------------------------------------------------

    def _split(self, item: Item, steps: DatasetSteps) -> list[Item]:
        pieces = split_oversized(
            item.image, steps.width, steps.height, steps.split_threshold, steps.split_overlap
        )
        if len(pieces) == 1:
            return [item]
        return [
            replace(item.having(piece), suffix=f"{item.suffix}-split-{number}")
            for number, piece in enumerate(pieces, 1)
        ]

    def _focal(self, item: Item, steps: DatasetSteps) -> list[Item]:
        weights = FocalWeights(
            steps.focal_face_weight, steps.focal_entropy_weight, steps.focal_edges_weight
        )
        return [
            item.having(
                focal_crop(item.image, steps.width, steps.height, weights, self._face_boxes)
            )
        ]

    def _face_boxes(self, image: Image.Image) -> list[tuple[float, float, float, float]]:
        from modules.catalog.restorers import FACE_DETECTOR
        from modules.engine.postprocess.faces import shared_detector

        found = shared_detector(FACE_DETECTOR).detect(image, FACE_CONFIDENCE)
        return [face.box for face in found]

    def _auto_sized(self, item: Item, steps: DatasetSteps) -> list[Item]:
        size = auto_size(
            item.image.size,
            steps.auto_min_side,
            steps.auto_max_side,
            steps.auto_min_area,
            steps.auto_max_area,
            steps.auto_threshold,
        )
        if size is None:
            self._around.warn(
                f"{item.name} was not cropped: no size within the limits has "
                f"nearly its shape ({item.image.width}x{item.image.height})."
            )
            return [item]
        return [item.having(centre_crop(item.image, size))]

    def _flip(self, item: Item) -> list[Item]:
        mirrored = item.having(flipped(item.image))
        return [item, replace(mirrored, suffix=f"{item.suffix}-flipped")]

    def _caption(self, item: Item, steps: DatasetSteps) -> list[Item]:
        from modules.engine.interrogate import shared_interrogator

        around = self._around
        around.control.check()
        # The models stay until the last picture; see release().
        options = {**around.prepared.options, KEEP_INTERROGATORS: True}
        interrogator = shared_interrogator(around.paths, around.device)
        caption = interrogator.describe(item.image.convert("RGB"), steps.caption, options)
        return [replace(item, caption=caption)]

    def release(self) -> None:
        """Let go of what wrote the captions, unless the settings keep it. Call at the job's end."""
        dataset = self._request.dataset
        if dataset is None or dataset.caption == "none":
            return
        if not self._around.prepared.options.get(KEEP_INTERROGATORS, False):
            from modules.engine.interrogate import shared_interrogator

            shared_interrogator(self._around.paths, self._around.device).unload()
