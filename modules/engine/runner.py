"""One job in, events out: the engine as its process sees it."""

from __future__ import annotations

import contextlib
import logging
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from modules.catalog.errors import ModelFileError
from modules.engine.adapters.files import AdapterFiles
from modules.engine.checkpoints import LoadedModel, ModelLoadError, ModelManager, NotANumberError
from modules.engine.checkpoints.errors import LoadCancelled
from modules.engine.checkpoints.families.base import ModelPlan
from modules.engine.desk import ModelDesk
from modules.engine.device import choose_policy
from modules.engine.generation.batching import BatchingChoice
from modules.engine.generation.control import StopSampling
from modules.engine.generation.hooks import Hooks
from modules.engine.generation.img2img import ImageToImage
from modules.engine.generation.job_models import JobModels
from modules.engine.generation.ledger import timings
from modules.engine.generation.memory import (
    choose_threads,
    free_caches,
    is_out_of_memory,
    memory_report,
)
from modules.engine.generation.pause_state import state_to_go_on
from modules.engine.generation.pictures import MemoryExhausted
from modules.engine.generation.spec import GenerationSpec
from modules.engine.generation.txt2img import TextToImage
from modules.engine.memory import MemorySettings
from modules.requests.errors import RequestError
from modules.requests.events import (
    Done,
    Event,
    Failed,
    Paused,
    Started,
)
from modules.requests.prepared import PreparedJob
from modules.settings.paths import Paths

if TYPE_CHECKING:
    from modules.engine.generation.control import JobControl

logger = logging.getLogger("easel.engine")

Emit = Callable[[Event], None]
Conductor = Callable[[PreparedJob, "JobControl"], Done]

KINDS = {"txt2img": TextToImage, "img2img": ImageToImage}
"""Jobs that make pictures with a checkpoint."""
MODEL_JOBS = ("merge", "convert")
"""Jobs that make a checkpoint of others; nothing is loaded for them."""


class Engine:
    """Owns the device, the models and the work on them. One thread calls it."""

    def __init__(self, paths: Paths, flags: Mapping[str, Any], emit: Emit) -> None:
        """
        Raises:
            ValueError: a flag names a device that is not there.
        """
        torch.set_num_threads(choose_threads())
        self.paths = paths
        self.policy = choose_policy(flags, paths.cache)
        self.models = ModelManager(
            paths,
            self.policy,
            hashing=not flags.get("no_hashing"),
            check_numbers=not flags.get("disable_nan_check"),
            memory=MemorySettings.of(flags, {}),
        )
        self.desk = ModelDesk(self.models, emit)
        self.hooks = Hooks()
        self.conductor: Conductor | None = None
        """Carries out jobs that make pictures instead of ``paint``, with its help."""
        self._emit = emit
        self._choice = BatchingChoice(paths.cache)
        self._adapter_files = AdapterFiles(paths.cache)

    @classmethod
    def build(
        cls,
        *,
        paths: Mapping[str, Any],
        flags: Mapping[str, Any],
        options: Mapping[str, Any],
        emit: Emit,
    ) -> Engine:
        """Make the engine from the JSON objects of its command line."""
        engine = cls(paths_from_json(paths), flags, emit)
        engine.desk.adopt(options)
        return engine

    def emit(self, event: Event) -> None:
        """Tell the server."""
        self._emit(event)

    @property
    def device_name(self) -> str:
        """The device for people."""
        return self.policy.name

    def versions(self) -> dict[str, str]:
        """Versions of what decides about pictures."""
        found = {"python": platform.python_version(), "torch": torch.__version__}
        for package in ("diffusers", "transformers"):
            # Not by importing them: that takes seconds, and only a model needs them.
            with contextlib.suppress(PackageNotFoundError):
                found[package] = version(package)
        return {**found, "threads": str(torch.get_num_threads())}

    # -- jobs ---------------------------------------------------------------------------------

    def run(self, prepared: PreparedJob, control: JobControl) -> None:
        """Carry out a job; whatever happens, exactly one ``Done`` or ``Failed`` is emitted."""
        try:
            with self.desk.serving(control):
                self._emit(self._carried_out(prepared, control))
        except (LoadCancelled, StopSampling):
            self._emit(Done(prepared.id, interrupted=True, facts={"device": self.device_name}))
        except Exception as error:  # a job must never end the process
            self._emit(self._failure(prepared.id, error))
        finally:
            self.desk.settle_down()
            free_caches(self.policy.device)

    def _carried_out(self, prepared: PreparedJob, control: JobControl) -> Done:
        begun = time.perf_counter()
        if prepared.kind == "extras":
            return self._postprocessed(prepared, control, begun)
        if prepared.kind in MODEL_JOBS:
            return self._made_model(prepared, control, begun)
        if prepared.kind not in KINDS:
            allowed = ", ".join((*KINDS, "extras", *MODEL_JOBS))
            raise RequestError(
                "kind", prepared.kind, f"{prepared.kind!r} is not known. Allowed: {allowed}."
            )
        if self.conductor is not None:
            return self.conductor(prepared, control)
        return self.paint(prepared, control)

    def paint(
        self,
        prepared: PreparedJob,
        control: JobControl,
        *,
        emit: Emit | None = None,
        hooks: Hooks | None = None,
    ) -> Done:
        """Make the pictures of a job. A hook may call it again for a job of its own.

        Args:
            emit: hears everything but the end; by default the server.
            hooks: by default those of the engine.
        """
        begun = time.perf_counter()
        emit = emit or self._emit
        spec = GenerationSpec.from_prepared(prepared)
        self.desk.adopt(prepared.options)
        model = self._model_for(prepared)
        models = JobModels(
            self, model, prepared, adapter_files=self._adapter_files, tiling=spec.tiling
        )
        loaded = time.perf_counter()
        emit(Started(prepared.id))
        facts = {
            "model_name": model.name,
            "device": self.device_name,
            "versions": {**self.versions(), "device": self.policy.device.type},
        }
        paused = state_to_go_on(prepared, model.hash, self.policy.device.type, emit)
        job = KINDS[prepared.kind](
            models, prepared, spec, control, emit, hooks or self.hooks, self._choice, paused
        )
        with torch.inference_mode():
            ledger = job.run()
        facts = {"pictures": ledger.pictures, **facts}
        seconds = timings(ledger, load=loaded - begun, total=time.perf_counter() - begun)
        if ledger.paused is not None:
            iteration = ledger.paused.position.iteration
            emit(Paused(prepared.id, iteration, ledger.paused.to_bytes()))
            return Done(prepared.id, facts=facts, timings=seconds, paused=True)
        return Done(prepared.id, ledger.interrupted, facts, seconds)

    def _postprocessed(self, prepared: PreparedJob, control: JobControl, begun: float) -> Done:
        """Upscaling and restoring of finished pictures; needs no checkpoint."""
        from modules.engine.postprocess.run import ExtrasJob

        job = ExtrasJob(prepared, control, self._emit, self.paths, self)
        self._emit(Started(prepared.id))
        ledger = job.run()
        facts = {"pictures": ledger.pictures, "device": self.device_name}
        seconds = timings(ledger, total=time.perf_counter() - begun)
        return Done(prepared.id, ledger.interrupted, facts, seconds)

    def _made_model(self, prepared: PreparedJob, control: JobControl, begun: float) -> Done:
        """Merging and converting checkpoints; the loaded model stays as it is."""
        from modules.engine.converting.job import ConvertJob
        from modules.engine.merging.job import MergeJob

        if prepared.kind == "merge":
            hashing = self.models.hashing
            job = MergeJob(prepared, control, self._emit, self.paths, hashing)
        else:
            job = ConvertJob(prepared, control, self._emit, self.paths)
        written = job.run()
        seconds = {"total": time.perf_counter() - begun}
        return Done(prepared.id, written.interrupted, written.facts, seconds)

    def _failure(self, job: str, error: Exception) -> Failed:
        kind, sentence = _told(error)
        if kind == "internal":
            logger.exception("job %s failed", job)
        else:
            logger.error("job %s failed: %s", job, sentence)
        return Failed(job, kind, sentence)

    def _model_for(self, prepared: PreparedJob) -> LoadedModel:
        if prepared.checkpoint is not None:
            return self.load(prepared.checkpoint, prepared.vae)
        model = self.desk.reload()
        if model is None:
            raise RequestError("sd_model_checkpoint", None, "no checkpoint is chosen or loaded.")
        return model

    # -- models: what `Shelf` asks for --------------------------------------------------------

    def load(self, checkpoint: str, vae: str | None = None) -> LoadedModel:
        """Make a checkpoint the current one; see `ModelDesk.load`."""
        return self.desk.load(checkpoint, vae)

    def examine(self, checkpoint: str, vae: str | None = None) -> ModelPlan:
        """What a checkpoint is, from its headers alone; see `ModelDesk.examine`."""
        return self.desk.examine(checkpoint, vae)

    def make_room(self) -> None:
        """Bring checkpoints that wait on the device into main memory."""
        self.models.make_room()

    # -- commands -----------------------------------------------------------------------------

    def carry_out(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a command that is not a job.

        Raises:
            ModelLoadError: the model cannot be loaded.
            RequestError: the command is not known or incomplete, or cannot be carried out.
        """
        kind = command.get("cmd")
        if kind == "load":
            if not command.get("checkpoint"):
                raise RequestError("checkpoint", None, "a path is needed.")
            if command.get("options"):
                self.desk.adopt(command["options"])
            return self._described(self.load(command["checkpoint"], command.get("vae")))
        if kind == "unload":
            self.desk.unload()
            return {}
        if kind == "reload":
            model = self.desk.reload()
            return {} if model is None else self._described(model)
        if kind == "memory":
            return {**memory_report(self.policy.device), "models": self.desk.report()}
        if kind == "sample_models":
            from modules.engine.selftest.models import write_models

            return write_models(command["folders"])
        if kind == "interrogate":
            from modules.engine.interrogate import shared_interrogator

            return shared_interrogator(self.paths, self.policy.device).answer(command)
        raise RequestError("cmd", kind, f"{kind!r} is not known.")

    def _described(self, model: LoadedModel) -> dict[str, Any]:
        return {
            "name": model.name,
            "title": model.title,
            "hash": model.hash,
            "family": model.family,
            "vae": model.vae_name,
            "default_parameters": model.default_parameters,
        }

    def refusal(self, error: Exception) -> dict[str, Any]:
        """The answer to a command that failed: what its exception means, for people."""
        return {"error": _told(error)[1], "cancelled": isinstance(error, LoadCancelled)}


def paths_from_json(values: Mapping[str, Any]) -> Paths:
    """Rebuild ``Paths`` from its JSON object.

    Raises:
        KeyError: a folder is missing.
    """

    def read(value: Any) -> Any:
        return tuple(Path(one) for one in value) if isinstance(value, list) else Path(value)

    return Paths(**{entry.name: read(values[entry.name]) for entry in fields(Paths)})


def _told(error: Exception) -> tuple[str, str]:
    """The kind of a failure (see ``Failed``) and its sentence."""
    if isinstance(error, ModelLoadError):
        return "model", error.sentence
    if isinstance(error, LoadCancelled):
        return "model", "Loading was cancelled."
    if isinstance(error, ModelFileError):
        return "model", ModelLoadError.of(error, error.path).sentence
    if isinstance(error, NotANumberError):
        return "nan", error.sentence
    if isinstance(error, RequestError):
        return "input", error.sentence
    if isinstance(error, MemoryExhausted):
        return "memory", str(error)
    if is_out_of_memory(error):
        return "memory", "Out of memory. Try a smaller size or batch."
    return "internal", f"{type(error).__name__}: {error}"
