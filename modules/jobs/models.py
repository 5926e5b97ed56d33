"""Loading and unloading checkpoints between jobs, always on the worker's thread."""

from __future__ import annotations

import logging

from modules.catalog import CheckpointInfo
from modules.jobs.backends.base import Backend
from modules.jobs.engine_watch import EngineWatch
from modules.jobs.prepare import Preparer
from modules.requests import events
from modules.requests.errors import RequestError

log = logging.getLogger("easel.jobs")

LOAD_SECONDS = 900.0
MAX_FAILURES = 2


class LoadFailed(RuntimeError):  # noqa: N818 - reads as what happened
    """A checkpoint could not be loaded; the message names the file and the reason."""


class LoadCancelled(LoadFailed):
    """Somebody did not want to wait for a checkpoint; the one before is still there."""


class ModelControl:
    """Asks the engine for checkpoints; remembers which one is on its way."""

    def __init__(self, backend: Backend, preparer: Preparer, watch: EngineWatch) -> None:
        self._backend = backend
        self._preparer = preparer
        self._watch = watch
        self._expected: str | None = None
        self._failures = 0

    @property
    def expected_path(self) -> str | None:
        """The checkpoint that the next ``ModelReady`` is about."""
        return self._expected

    def expect(self, path: str | None) -> None:
        """A job begins that will load this checkpoint if it is not there."""
        self._expected = path

    def may_try_again(self) -> bool:
        """False after two failures in a row: a file that kills the engine is left alone."""
        return self._failures < MAX_FAILURES

    def load_chosen(self) -> None:
        """Load the checkpoint that the settings name, if it is not loaded.

        Raises:
            LoadFailed: the engine could not load it; the one before is still there.
        """
        info = self._preparer.chosen_checkpoint()
        if info is None:
            log.warning("there is no checkpoint to load")
            return
        self.load(info)

    def load(self, info: CheckpointInfo) -> None:
        """Load one checkpoint with the VAE that the settings name.

        Raises:
            LoadCancelled: somebody ended it; the one before is still there.
            LoadFailed: the engine could not load it; the one before is still there.
        """
        options = self._preparer.options.as_dict()
        try:
            vae = self._preparer.vae_for(options.get("sd_vae"), info, options)
        except RequestError as error:
            log.warning("%s", error.sentence)
            vae = None
        self._expected = str(info.path)
        try:
            reply = self._backend.request(
                "load", timeout=LOAD_SECONDS, checkpoint=str(info.path), vae=vae, options=options
            )
        finally:
            self._expected = None
        if reply.payload.get("cancelled"):
            raise LoadCancelled(f"Loading {info.title} was cancelled.")
        self._failures = 0 if reply.ok else self._failures + 1
        if not reply.ok:
            reason = str(reply.payload.get("error") or "the engine gave no reason")
            self._watch.take(events.ModelFailed(name=info.title, reason=reason))
            raise LoadFailed(f"{info.title} could not be loaded: {reason}")

    def cancel(self) -> bool:
        """End a load that no job has asked for, within moments. False when there is none."""
        return self._watch.model.state == "loading" and self._backend.cancel_load()

    def unload(self) -> None:
        """Free the memory of all models; the next job loads its own again.

        Raises:
            LoadFailed: the engine did not answer.
        """
        reply = self._backend.request("unload", timeout=60.0)
        if not reply.ok:
            raise LoadFailed(str(reply.payload.get("error") or "the engine did not answer"))
        self._watch.unloaded()
