"""What every backend offers to the job service, whatever and wherever its engines are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from modules.requests.events import Event, Reply
from modules.requests.prepared import PreparedJob

EventHandler = Callable[[Event], None]

EngineState = Literal["stopped", "starting", "ready", "busy", "restarting"]

Ending = Literal["done", "interrupted", "paused", "failed", "crashed"]


@dataclass(frozen=True)
class Outcome:
    """How a job ended. Every job that was given to :meth:`Backend.run` gets exactly one."""

    ending: Ending
    """``crashed``: the engine died or was ended by the watchdog; the job may be tried again."""
    failure: str = ""
    """For ``failed`` and ``crashed``: model, memory, nan, input, internal or crash."""
    message: str = ""
    """For ``failed`` and ``crashed``: one sentence for people."""
    facts: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds by part, as in :class:`~modules.requests.events.Done`."""


@dataclass(frozen=True)
class BackendStatus:
    """A snapshot for the page, ``/internal/ready`` and the memory report."""

    state: EngineState
    pid: int | None = None
    device: str = ""
    """Empty until the engine has imported torch."""
    versions: dict[str, str] = field(default_factory=dict)
    model_name: str = ""
    model_title: str = ""
    model_hash: str = ""
    model_family: str = ""
    model_vae: str | None = None
    loading: str = ""
    """Name of the checkpoint that is being loaded now."""
    loading_fraction: float = 0.0
    busy_job: str | None = None
    rss_mb: float = 0.0
    restarts: int = 0
    """How often an engine died since the start."""
    last_error: str = ""
    """Why it died the last time, or why the last checkpoint could not be loaded."""

    @property
    def ready(self) -> bool:
        """A model is loaded and the engine lives."""
        return bool(self.model_name) and self.state in ("ready", "busy")


class Backend(Protocol):
    """Carries out jobs. All methods may be called from any thread."""

    @property
    def slots(self) -> int:
        """How many calls of :meth:`run` can make progress at the same time."""

    @property
    def status(self) -> BackendStatus:
        """The state now; never blocks."""

    def start(self) -> None:
        """Begin to bring the engine up and return at once."""

    def run(self, prepared: PreparedJob, on_event: EventHandler) -> Outcome:
        """Carry out one job and return when it has ended.

        Blocks the calling thread; events of this job are handed to ``on_event`` in order and in
        that thread, ending with ``Done`` or ``Failed`` (unless the engine crashed). While the
        engine is starting or restarting it waits for it, without events; an interrupt ends that
        too. An exception out of ``on_event``
        interrupts the job and is raised when the job has ended.
        """

    def interrupt(self, job: str | None, mode: str = "interrupt") -> bool:
        """Send ``interrupt``, ``skip``, ``stop_after_current``, ``pause`` or
        ``pause_after_current``; None means whatever runs.

        False when no such job is running.
        """

    def request(self, cmd: str, *, timeout: float = 60.0, **arguments: Any) -> Reply:
        """Send ``load``, ``unload``, ``reload`` or ``memory`` and wait for the answer.

        The engine answers between jobs. A reply with ``ok=False`` carries ``payload["error"]``;
        an engine that is not there, dies or does not answer in time gives such a reply too.
        """

    def cancel_load(self) -> bool:
        """End the loading of a checkpoint that no job has asked for; the former one stays.

        False when there is no engine. An engine that loads nothing does nothing.
        """

    def subscribe(self, on_event: EventHandler) -> Callable[[], None]:
        """Hear all events of all jobs and of the engine itself; returns the way to unsubscribe.

        Called in the backend's reader thread: return quickly.
        """

    def stop(self) -> None:
        """End the engine, at the latest after a few seconds; running jobs end as crashed."""
