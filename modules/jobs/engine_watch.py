"""What is known about the engine and its model, kept up to date from its events."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from modules.requests import events

STARTING, READY, BUSY, RESTARTING, STOPPED = "starting", "ready", "busy", "restarting", "stopped"

WORKED = (events.Step, events.Working, events.ImageDone, events.Done, events.Failed)
"""Events of a job's work: no model is being loaded then."""


@dataclass(frozen=True)
class ModelStatus:
    """The checkpoint in the engine. ``state`` is none, loading, ready or failed."""

    state: str = "none"
    name: str = ""
    title: str = ""
    hash: str = ""
    family: str = ""
    vae: str | None = None
    fraction: float = 0.0
    reason: str | None = None
    path: str | None = None
    """Where it lies; the queue groups jobs by it."""
    resident: tuple[str, ...] = ()
    """Titles of all models in memory, the one used last at the end."""

    def to_json(self) -> dict[str, Any]:
        """The object that the live channel sends."""
        return {
            "state": self.state,
            "name": self.name,
            "title": self.title,
            "hash": self.hash,
            "family": self.family,
            "vae": self.vae,
            "fraction": round(self.fraction, 3),
            "reason": self.reason,
            "resident": list(self.resident),
        }


class EngineWatch:
    """Follows the engine's own events (not those of a job) and tells the page about them."""

    def __init__(self, publish: Callable[[dict[str, Any]], None]) -> None:
        self._publish = publish
        self._lock = threading.Lock()
        self._model = ModelStatus()
        self._loaded = ModelStatus()
        self._state = STARTING
        self._message = "The engine is starting."
        self._device: str | None = None
        self.versions: dict[str, str] = {}

    @property
    def model(self) -> ModelStatus:
        """The model as it is shown: while one loads, that one."""
        with self._lock:
            return self._model

    @property
    def loaded(self) -> ModelStatus:
        """The model that a job would find now; ``state`` is ready or none."""
        with self._lock:
            return self._loaded

    @property
    def state(self) -> str:
        """starting, ready, busy, restarting or stopped."""
        with self._lock:
            return self._state

    def engine_json(self) -> dict[str, Any]:
        """The object that the live channel sends."""
        with self._lock:
            return {
                "state": self._state,
                "message": self._message,
                "device": self._device,
                "model": self._loaded.title or None,
                "fraction": self._model.fraction if self._model.state == "loading" else None,
            }

    def set_state(self, state: str, message: str = "") -> None:
        """Change the engine's state and tell everyone."""
        with self._lock:
            changed = (state, message) != (self._state, self._message)
            self._state, self._message = state, message
            if state in (STOPPED, RESTARTING):
                self._model = self._loaded = ModelStatus()
        if changed:
            self._publish({"type": "engine", **self.engine_json()})

    def take(self, event: events.Event, path: str | None = None) -> None:
        """Follow one event; ``path`` is the checkpoint that was asked for, if known."""
        if isinstance(event, events.Hello):
            with self._lock:
                self._device = event.device or self._device
                self.versions = dict(event.versions)
            if event.device and self.state in (STARTING, RESTARTING, STOPPED):
                self.set_state(READY)
            return
        with self._lock:
            model = self._follow_model(event, path)
            if model is None or model == self._model:
                return
            self._model = model
        self._publish({"type": "model", **model.to_json()})

    def _follow_model(self, event: events.Event, path: str | None) -> ModelStatus | None:
        if isinstance(event, events.ModelLoading):
            return ModelStatus(
                "loading",
                event.name,
                event.name,
                fraction=event.fraction,
                resident=self._loaded.resident,
            )
        if isinstance(event, events.ModelReady):
            self._loaded = ModelStatus(
                "ready",
                event.name,
                event.title,
                event.hash,
                event.family,
                event.vae,
                1.0,
                None,
                event.path or path,
                tuple(event.resident),
            )
            return self._loaded
        if isinstance(event, events.ModelGone):
            self._loaded = ModelStatus()
            return self._loaded
        if isinstance(event, WORKED) and self._model.state == "loading":
            return self._loaded  # what was loaded was an upscaler or the like
        if isinstance(event, events.ModelFailed):
            return replace(self._loaded, state="failed", reason=event.reason, fraction=0.0)
        return None

    def unloaded(self) -> None:
        """The model was put away; the next job loads it again."""
        with self._lock:
            self._model = self._loaded = ModelStatus()
        self._publish({"type": "model", **ModelStatus().to_json()})
