"""Gives the engine's picture jobs to the scripts of extensions, and the façade what it asks for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from modules.addons import host
from modules.addons.a1111 import script_callbacks, scripts
from modules.addons.painting.run import ScriptedJob
from modules.addons.painting.settling import Settler
from modules.requests.events import Done
from modules.requests.prepared import PreparedJob

if TYPE_CHECKING:
    from modules.engine.generation.control import JobControl
    from modules.engine.runner import Engine

log = logging.getLogger("easel.addons")


def take_part(engine: Engine, settler: Settler) -> Conductor:
    """Let the loaded scripts take part in the engine's jobs from now on."""
    conductor = Conductor(engine, settler)
    engine.conductor = conductor
    conductor.provide()
    return conductor


class Conductor:
    """Stands in the engine for the scripts of extensions."""

    def __init__(self, engine: Engine, settler: Settler) -> None:
        self._engine = engine
        self.settler = settler
        self._running: ScriptedJob | None = None
        self._model = ""

    def __call__(self, prepared: PreparedJob, control: JobControl) -> Done:
        """Carry out a job; without anybody to take part it is the engine's own."""
        if not self._anybody(prepared.kind):
            return self._engine.paint(prepared, control)
        self._running = ScriptedJob(self._engine, self.settler, prepared, control)
        try:
            return self._running.carry_out()
        finally:
            self._running = None

    def process_images(self, p: Any) -> Any:
        """``processing.process_images``.

        Raises:
            RuntimeError: no job is running.
        """
        if self._running is None:
            raise RuntimeError("process_images can only be called while a job is running")
        return self._running.process(p)

    def provide(self) -> None:
        """What the façade asks for in this process."""
        mine = host.get()
        # It takes an argument, unlike the others, and is called by its name alone.
        mine.providers["process_images"] = self.process_images  # type: ignore[assignment]
        mine.provide("sd_model", self._sd_model)

    def _sd_model(self) -> Any:
        from modules.addons.painting.model_view import ModelView

        loaded = self._engine.models.current
        if loaded is None:
            return None
        view = ModelView(loaded)
        if self._model != loaded.title:
            self._model = loaded.title
            script_callbacks.model_loaded_callback(view)
        return view

    def _anybody(self, kind: str) -> bool:
        runner = scripts.scripts_img2img if kind == "img2img" else scripts.scripts_txt2img
        return bool(runner.scripts) or any(
            script_callbacks.has(name)
            for name in ("cfg_denoiser", "cfg_denoised", "cfg_after_cfg", "extra_noise")
        )
