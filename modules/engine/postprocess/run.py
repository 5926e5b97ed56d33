"""The job "extras": finished pictures, one after another, through the steps that were asked for.

Every result is an ``ImageDone`` whose facts are:

    place       which of the request's pictures it came from, from 0
    name        file name of that picture, "" when the request names none
    input       reference of that picture; its own infotext is read from there by who saves
    suffix      what to add to a file name when one picture gives several ("-split-2", "-flipped")
    extra       infotext keys of what was done, in A1111's names and order
    caption     a caption for training, or None
    width, height, and model_name "" and hash "": no checkpoint takes part
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image

from modules.engine.device import DevicePolicy
from modules.engine.generation.control import JobControl, StopSampling
from modules.engine.generation.ledger import Ledger
from modules.engine.postprocess.counting import Counter
from modules.engine.postprocess.steps import Item, Steps, Surroundings
from modules.engine.postprocess.upscale import Upscaling
from modules.imaging.reading import open_picture
from modules.requests.errors import RequestError
from modules.requests.events import Event, ImageDone, ModelLoading, Step, Warning_
from modules.requests.extras import ExtrasRequest
from modules.requests.prepared import PreparedJob
from modules.settings.paths import Paths

logger = logging.getLogger("easel.engine")

Emit = Callable[[Event], None]
MAX_MEGAPIXELS = 400.0
SIZE_FIELD = "upscaling_resize"


class EngineParts(Protocol):
    """What `ExtrasJob` needs of the engine; `modules.engine.runner.Engine` has it."""

    policy: DevicePolicy


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
        self.ledger = Ledger()
        self._place = 0
        self._counter = Counter(self._tell_step)
        device = engine.policy.device
        upscaling = Upscaling(
            device,
            prepared.resources,
            prepared.options,
            self._counter.tiles,
            control,
            dtype=engine.policy.unet_dtype,
            warn=self._warn,
            loading=self._tell_loading,
        )
        self._steps = Steps(
            self._request,
            Surroundings(
                prepared,
                control,
                self._counter,
                upscaling,
                device,
                paths,
                self._warn,
                self._tell_loading,
            ),
        )

    def run(self) -> Ledger:
        """Work on all pictures, or those until the job is interrupted. Unreadable ones are left
        out with a warning that names them.

        Raises:
            RequestError: no picture can be read, or a model is missing and cannot be fetched.
            ModelLoadError: a model cannot be loaded.
            MemoryExhausted: not even small tiles fit into memory.
        """
        try:
            return self._work_on_all()
        finally:
            self._steps.release()

    def _work_on_all(self) -> Ledger:
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
                # What is wrong with one picture is no harm to the others; a missing model is.
                if error.field not in (self._field(place), SIZE_FIELD):
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
        operations = self._steps.operations()
        self._counter.begin(self._steps.planned(operations, image))
        items = [Item(image, self._called(place))]
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
            "place": place,
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

    # -- telling ------------------------------------------------------------------------------

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


def _reason(error: RequestError) -> str:
    return error.sentence.removeprefix(f"{error.field}: ")
