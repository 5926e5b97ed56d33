"""The job "extras": finished pictures, one after another, through the steps that were asked for.

Every result is an ``ImageDone`` whose facts are:

    name        file name of the picture it came from, "" when the request names none
    input       reference of that picture; its own infotext is read from there by who saves
    suffix      what to add to a file name when one picture gives several ("-split-2", "-flipped")
    extra       infotext keys of what was done, in A1111's names and order
    caption     a caption for training, or None
    width, height, and model_name "" and hash "": no checkpoint takes part
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from modules.catalog.download import DownloadCancelled, DownloadFailed, fetch_model
from modules.engine.device import DevicePolicy
from modules.engine.generation.control import JobControl, StopSampling
from modules.engine.generation.ledger import Ledger
from modules.engine.postprocess.dataset import auto_size, centre_crop, flipped, split_oversized
from modules.engine.postprocess.enlarging import Target, enlarge
from modules.engine.postprocess.focal import FocalWeights, focal_crop
from modules.engine.postprocess.upscale import Upscaling
from modules.imaging.reading import open_picture
from modules.requests.errors import NotFoundInList, RequestError
from modules.requests.events import Event, ImageDone, ModelLoading, Step, Warning_
from modules.requests.extras import DatasetSteps, ExtrasRequest
from modules.requests.prepared import PreparedJob
from modules.settings.paths import Paths

if TYPE_CHECKING:
    from modules.catalog.restorers import RestorerInfo

logger = logging.getLogger("easel.engine")

Emit = Callable[[Event], None]
ORDER_OPTION = "postprocessing_operation_order"
"""A1111's setting: names of the operations in the order they shall run, the others behind."""
MAX_MEGAPIXELS = 400.0
FACE_CONFIDENCE = 0.8


_HOPELESS = (DownloadFailed, NotFoundInList)
"""What is wrong with one picture is no harm to the others; a missing model is."""


class EngineParts:
    """What `ExtrasJob` needs of the engine; `modules.engine.runner.Engine` has it."""

    policy: DevicePolicy


@dataclass(frozen=True)
class Item:
    """A picture on its way through the steps."""

    image: Image.Image
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


class ExtrasJob:
    """Carries out one postprocessing job."""

    def __init__(
        self,
        prepared: PreparedJob,
        control: JobControl,
        emit: Emit,
        paths: Paths,
        engine: EngineParts,
    ) -> None:
        """
        Raises:
            RequestError: the stored request is not a valid one.
        """
        self._prepared = prepared
        self._request = ExtrasRequest.model_validate(prepared.request)
        self._control = control
        self._emit = emit
        self._paths = paths
        self._engine = engine
        self.ledger = Ledger()
        self._place = 0
        self._counter = _Counter(self._tell_step)
        self._upscaling = Upscaling(
            engine.policy.device,
            prepared.resources,
            prepared.options,
            self._counter.tiles,
            control,
            dtype=engine.policy.unet_dtype,
            warn=self._warn,
            loading=self._tell_loading,
        )

    def run(self) -> Ledger:
        """Work on all pictures, or those until the job is interrupted. Unreadable ones are left
        out with a warning that names them.

        Raises:
            RequestError: no picture can be read, or a model is missing and cannot be fetched.
            ModelLoadError: a model cannot be loaded.
            MemoryExhausted: not even small tiles fit into memory.
        """
        unreadable: list[RequestError] = []
        for place in range(len(self._request.images)):
            if self._control.ends_after_batch:
                self.ledger.interrupted = True
                break
            if place:
                self._control.begin_batch()
            self._place = place
            try:
                self._work_on(place)
            except RequestError as error:
                if isinstance(error, _HOPELESS):
                    raise
                unreadable.append(error)
                self._warn(f"{self._called(place)} was left out: {_reason(error)}")
            except StopSampling:
                if not self._control.interrupted:
                    self._warn(f"{self._called(place)} was skipped.")
        if unreadable and len(unreadable) == len(self._request.images):
            raise unreadable[0]
        self.ledger.interrupted |= self._control.interrupted
        return self.ledger

    # -- one picture --------------------------------------------------------------------------

    def _work_on(self, place: int) -> None:
        with self.ledger.clock("read"), torch.inference_mode():
            image = self._read(place)
        operations = self._operations()
        self._counter.begin(self._planned(operations, image))
        items = [Item(image)]
        for operation in operations:
            self._control.check()
            with self.ledger.clock(operation.name.lower()), torch.inference_mode():
                items = [result for item in items for result in operation.run(item)]
            self._counter.finish(operation.name)
        self._counter.complete()
        for item in items:
            self._hand_over(place, item)

    def _read(self, place: int) -> Image.Image:
        ref = self._request.images[place]
        path = self._prepared.inputs.get(ref)
        if path is None:
            raise RequestError(self._field(place), ref, "the picture is not there any more.")
        image = open_picture(Path(path), self._field(place), MAX_MEGAPIXELS)
        return image if image.mode == "RGBA" else image.convert("RGB")

    def _hand_over(self, place: int, item: Item) -> None:
        image = item.image
        facts = {
            "name": self._name(place),
            "input": self._request.images[place],
            "suffix": item.suffix,
            "extra": item.info,
            "caption": item.caption,
            "width": image.width,
            "height": image.height,
            "model_name": "",
            "model_hash": "",
        }
        self._emit(
            ImageDone(
                job=self._prepared.id,
                index=self.ledger.pictures,
                width=image.width,
                height=image.height,
                mode=image.mode,
                data=image.tobytes(),
                facts=facts,
            )
        )
        self.ledger.pictures += 1

    # -- the steps ----------------------------------------------------------------------------

    def _operations(self) -> list[Operation]:
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
        named = list(self._prepared.options.get(ORDER_OPTION) or ())
        if named:
            last = len(named)
            operations.sort(key=lambda one: named.index(one.name) if one.name in named else last)
        return operations

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
        places = int(self._prepared.options.get("upscaling_max_images_in_cache", 5))
        image, info = enlarge(
            item.image, self._request, self._upscaling, self._counter.upscaler, places=places
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
            self._control.check()
            self._counter.tiles(done, total)

        return restore_faces(
            image,
            method,
            visibility,
            weight,
            self._prepared.resources,
            self._engine.policy.device,
            watch=watch,
            fetch=self._fetch,
        )

    def _fetch(self, info: RestorerInfo) -> Path:
        try:
            return fetch_model(
                info,
                info.path.parent,
                lambda fraction: self._tell_loading(info.name, fraction),
                lambda: self._control.interrupted,
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
            self._warn(
                f"{self._called(self._place)} was not cropped: no size within the limits has "
                f"nearly its shape ({item.image.width}x{item.image.height})."
            )
            return [item]
        return [item.having(centre_crop(item.image, size))]

    def _flip(self, item: Item) -> list[Item]:
        mirrored = item.having(flipped(item.image))
        return [item, replace(mirrored, suffix=f"{item.suffix}-flipped")]

    def _caption(self, item: Item, steps: DatasetSteps) -> list[Item]:
        from modules.engine.interrogate import interrogate

        self._control.check()
        caption = interrogate(
            item.image.convert("RGB"),
            steps.caption,
            self._paths,
            self._engine.policy.device,
            self._prepared.options,
        )
        return [replace(item, caption=caption)]

    # -- telling ------------------------------------------------------------------------------

    def _planned(self, operations: list[Operation], image: Image.Image) -> dict[str, int]:
        """About how many tiles each step will take."""
        planned = {operation.name: 1 for operation in operations}
        if "Upscale" in planned:
            target = Target.of(self._request, image.size)
            names = [self._request.upscaler_1]
            if self._request.extras_upscaler_2_visibility > 0:
                names.append(self._request.upscaler_2)
            planned["Upscale"] = sum(
                self._upscaling.planned(name, image.size, target.width, target.height)
                for name in names
                if name != "None"
            )
        return planned

    def _tell_step(self, done: int, total: int) -> None:
        self._emit(Step(self._prepared.id, self._place, len(self._request.images), done, total))

    def _tell_loading(self, name: str, fraction: float) -> None:
        self._emit(ModelLoading(name, fraction))

    def _warn(self, message: str) -> None:
        logger.warning("%s", message)
        self._emit(Warning_(self._prepared.id, message))

    def _name(self, place: int) -> str:
        names = self._request.names
        return names[place] if place < len(names) else ""

    def _called(self, place: int) -> str:
        """The picture, for people."""
        return self._name(place) or f"Picture {place + 1}"

    def _field(self, place: int) -> str:
        return "image" if len(self._request.images) == 1 else f"imageList[{place}]"


class _Counter:
    """Tiles of all steps of one picture, counted through; never backwards."""

    def __init__(self, tell: Callable[[int, int], None]) -> None:
        self._tell = tell
        self.begin({})

    def begin(self, planned: Mapping[str, int]) -> None:
        """A picture with so many tiles per step."""
        self._planned = dict(planned)
        self._before = 0
        self._within = 0
        self._step_offset = 0
        self._shown = 0

    def upscaler(self, _name: str) -> None:
        """One of a step's upscalers begins; the first one's tiles are done."""
        self._step_offset = self._within

    def tiles(self, done: int, total: int) -> None:
        """So many tiles of the part at work are done."""
        self._within = self._step_offset + done
        self._show(self._step_offset + max(done, total))

    def finish(self, name: str) -> None:
        """A step is done."""
        self._before += self._planned.pop(name, 0)
        self._within = self._step_offset = 0
        self._show(0)

    def complete(self) -> None:
        """The picture is done, whatever was planned."""
        total = max(1, self._before)
        self._shown = total
        self._tell(total, total)

    def _show(self, at_least: int) -> None:
        ahead = max(sum(self._planned.values()), at_least)
        self._shown = max(self._shown, min(self._before + self._within, self._before + ahead))
        self._tell(self._shown, max(self._before + ahead, self._shown, 1))


def _reason(error: RequestError) -> str:
    return error.sentence.removeprefix(f"{error.field}: ")
