"""Brings checkpoints into force for jobs and commands, and tells the server about it."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from modules.catalog.errors import ModelFileError
from modules.engine.checkpoints import LoadedModel, ModelLoadError, ModelManager
from modules.engine.checkpoints.errors import LoadCancelled
from modules.engine.checkpoints.families.base import ModelPlan
from modules.engine.checkpoints.planning import plan_model
from modules.engine.checkpoints.residency import ResidencyRules
from modules.engine.generation.memory import keep_for_good
from modules.engine.generation.swift import SwiftNetwork
from modules.requests.events import Event, ModelFailed, ModelGone, ModelLoading, ModelReady

if TYPE_CHECKING:
    from modules.engine.generation.control import JobControl

logger = logging.getLogger("easel.engine")


class ModelDesk:
    """Loads and unloads models. One thread works with it; any thread may cancel a load."""

    def __init__(self, models: ModelManager, emit: Callable[[Event], None]) -> None:
        self.models = models
        self._emit = emit
        self._swift: SwiftNetwork | None = None
        self._frozen: weakref.WeakSet[torch.nn.Module] = weakref.WeakSet()
        self._job: JobControl | None = None
        self._loading = False
        self._cancelled = threading.Event()

    @contextlib.contextmanager
    def serving(self, job: JobControl) -> Iterator[None]:
        """While a job runs, interrupting it also ends the loading of its models."""
        self._job = job
        try:
            yield
        finally:
            self._job = None
            if self._swift is not None:
                self._swift.forget_texts()

    def adopt(self, options: Mapping[str, Any]) -> None:
        """Take over the settings of how many models stay in memory."""
        self.models.rules = ResidencyRules.from_options(options)
        self.models.memory = self.models.memory.with_options(options)

    # -- loading ----------------------------------------------------------------------------------

    def load(self, checkpoint: str, vae: str | None = None) -> LoadedModel:
        """Make a checkpoint the current one.

        Raises:
            ModelLoadError: it cannot be loaded; the one before is still there.
            LoadCancelled: somebody did not want to wait; the one before is still there.
        """
        path = Path(checkpoint)
        vae_path = Path(vae) if vae else None
        if self.models.is_current(path, vae_path):
            return self.models.current
        return self._told(
            path.name,
            lambda: self.models.load(path, vae_path, self._progress(path.name), self._tick),
        )

    def reload(self) -> LoadedModel | None:
        """Load the last model again if it was unloaded; None when there never was one.

        Raises: as :meth:`load`.
        """
        if self.models.current is not None:
            return self.models.current
        if self.models.wanted is None:
            return None
        name = self.models.wanted[0].name
        return self._told(name, lambda: self.models.reload(self._progress(name), self._tick))

    def examine(self, checkpoint: str, vae: str | None = None) -> ModelPlan:
        """What a checkpoint is, from its headers alone.

        Raises:
            ModelLoadError: it cannot be read or used.
        """
        path = Path(checkpoint)
        try:
            return plan_model(path, Path(vae) if vae else None, self.models.paths.configs)
        except ModelFileError as error:
            raise ModelLoadError.of(error, path) from error

    def unload(self) -> None:
        """Free the memory of all models, of upscalers and of face restorers too."""
        self._slow_down()
        self.models.unload()
        _forget_helpers()
        self._emit(ModelGone())

    def report(self) -> list[dict[str, Any]]:
        """The models in memory, the one used last at the end."""
        return [
            {"title": model.title, "bytes": size, "pinned": pinned}
            for model, size, pinned in self.models.inventory()
        ]

    def cancel(self) -> bool:
        """End the load that is going on, if there is one. May be called from any thread."""
        if self._loading:
            self._cancelled.set()
        return self._loading

    def _told(self, name: str, work: Callable[[], LoadedModel]) -> LoadedModel:
        """Carry out a load and tell how it went."""
        before = self.models.current
        self._slow_down()
        self._cancelled.clear()
        self._loading = True
        try:
            model = work()
        except ModelLoadError as error:
            self._tell_of_former(before)
            self._emit(ModelFailed(name, error.sentence))
            raise
        except LoadCancelled:
            logger.info("loading %s was cancelled", name)
            self._tell_of_former(before, always=True)
            raise
        finally:
            self._loading = False
            self._speed_up()
        self._emit(self._ready(model))
        return model

    def _tell_of_former(self, before: LoadedModel | None, *, always: bool = False) -> None:
        """After a load that came to nothing: what is in force now."""
        now = self.models.current
        if now is None and (always or before is not None):
            self._emit(ModelGone())
        elif now is not None and always:
            self._emit(self._ready(now))

    def _ready(self, model: LoadedModel) -> ModelReady:
        return ModelReady(
            model.name,
            model.title,
            model.hash,
            model.family,
            model.vae_name,
            path=str(model.path),
            resident=[one.title for one in self.models.residents],
        )

    def _progress(self, name: str) -> Callable[[float], None]:
        return lambda fraction: self._emit(ModelLoading(name, fraction))

    def _tick(self) -> None:
        if self._cancelled.is_set() or (self._job is not None and self._job.interrupted):
            raise LoadCancelled

    # -- what is done to the network in force -----------------------------------------------------

    def _slow_down(self) -> None:
        """Take the shortcuts out of the network: its weights are about to change."""
        if self._swift is not None:
            self._swift.remove()
            self._swift = None

    def _speed_up(self) -> None:
        """Put the shortcuts into the network that is there now, if any."""
        if self.models.current is not None and self._swift is None:
            swift = self._swift = SwiftNetwork(self.models.current.networks["unet"])
            # Adapters change weights in place while the shortcuts stay.
            adapters = self.models.current.adapters
            adapters.before_change[:] = [
                lambda network: swift.forget_weights() if network == "unet" else None
            ]

    def settle_down(self) -> None:
        """After a job: keep to the budget, and spare the garbage collector what came to stay."""
        self.models.keep_to_budget()
        current = self.models.current
        network = current.networks["unet"] if current is not None else None
        if network is not None and network not in self._frozen:
            keep_for_good()
            self._frozen = weakref.WeakSet(one.networks["unet"] for one in self.models.residents)


def _forget_helpers() -> None:
    """Free upscalers and face restorers, if any were used."""
    upscale = sys.modules.get("modules.engine.postprocess.upscale")
    if upscale is not None:
        upscale.SHELF.clear()
    faces = sys.modules.get("modules.engine.postprocess.faces.restore")
    if faces is not None:
        faces.forget_restorers()
