"""The default backend: one engine process on this machine, watched and replaced when it dies.

One thread owns the process: it starts it, reads its events, buries it and starts the next one after
a pause that grows with each death in a row. A second thread is the watchdog. Jobs are run in the
threads of their callers.
"""

from __future__ import annotations

import itertools
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from modules.jobs.backends.base import BackendStatus, EventHandler, Outcome
from modules.jobs.backends.child import EngineChild
from modules.jobs.backends.endings import describe_exit
from modules.jobs.backends.environment import engine_command, engine_environment
from modules.jobs.backends.watchdog import JobClock, WatchLimits, silent
from modules.requests.events import (
    Done,
    Event,
    Failed,
    Heartbeat,
    Hello,
    ImageDone,
    ModelFailed,
    ModelGone,
    ModelLoading,
    ModelReady,
    Reply,
    Step,
    Working,
)
from modules.requests.prepared import PreparedJob
from modules.settings.flags import Flags
from modules.settings.paths import Paths

logger = logging.getLogger("easel.engine")

RESTART_PAUSES = (0.2, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before the next start, after the first, second, … death in a row."""

SETTLED_SECONDS = 60.0
"""An engine that lived so long, or finished a job, starts the count of deaths again."""

GRACE_SECONDS = 5.0
"""How long an engine may take to end when it is asked to."""


class _Run:
    """One job in progress: its events wait here for the thread that asked for it."""

    def __init__(self, job: str) -> None:
        self.job = job
        self.given_up = False
        """It was interrupted before an engine had it."""
        self.begin()

    def begin(self) -> None:
        """Forget what was heard about an earlier try."""
        self.events: queue.SimpleQueue[Event | Outcome] = queue.SimpleQueue()
        self.clock = JobClock(time.monotonic())


class LocalBackend:
    """Implements :class:`~modules.jobs.backends.base.Backend` with a child process."""

    slots = 1

    def __init__(
        self,
        paths: Paths,
        flags: Flags,
        options: Mapping[str, Any] | None = None,
        *,
        limits: Callable[[], WatchLimits] = WatchLimits,
        environment: Mapping[str, str] | None = None,
        plugins: Sequence[str] = (),
    ) -> None:
        """Nothing is started yet (see :meth:`start`).

        Args:
            options: settings the engine needs before its first job.
            limits: when an engine counts as stuck, now.
            environment: replaces the inherited environment (tests).
            plugins: modules that each engine installs.
        """
        self._command = engine_command(paths, flags, options or {}, plugins)
        self._environment = engine_environment(environment)
        given = self._environment.get("PYTHONPATH")
        self._environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(paths.root), given]))
        self._root = paths.root
        self._limits = limits
        self._state = threading.Condition()
        self._status = BackendStatus(state="stopped")
        self._child: EngineChild | None = None
        self._run: _Run | None = None
        self._candidate: _Run | None = None
        """The job that waits for an engine."""
        self._refusal = ""
        """Why no engine can ever start with these flags."""
        self._turn = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[Reply]] = {}
        self._handlers: tuple[EventHandler, ...] = ()
        self._stopping = threading.Event()
        self._verdict = ""
        self._threads: list[threading.Thread] = []

    @property
    def status(self) -> BackendStatus:
        """The state now."""
        with self._state:
            return self._status

    def start(self) -> None:
        """Start the engine in the background; calling it again does nothing."""
        with self._state:
            if self._threads:
                return
            self._status = replace(self._status, state="starting")
            self._threads = [
                threading.Thread(target=self._keep_alive, name="engine-owner", daemon=True),
                threading.Thread(target=self._watch, name="engine-watchdog", daemon=True),
            ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the engine; a running job ends as crashed."""
        self._stopping.set()
        with self._state:
            child = self._child
            self._state.notify_all()
        if child is not None:
            child.send({"cmd": "interrupt", "job": None, "mode": "interrupt"})
            child.send({"cmd": "shutdown"})
            if child.wait(GRACE_SECONDS) is None:
                child.kill()
        for thread in self._threads:
            thread.join(GRACE_SECONDS)
        with self._state:
            self._status = replace(self._status, state="stopped", pid=None)

    def run(self, prepared: PreparedJob, on_event: EventHandler) -> Outcome:
        """Carry out one job in this thread; see the protocol."""
        with self._turn:
            run = _Run(prepared.id)
            ending = self._give(run, {"cmd": "run", "job": prepared.to_json()})
            if ending is not None:
                return ending
            try:
                outcome = self._follow(run, on_event)
                if outcome.failure == "memory":
                    self._renew()
                return outcome
            finally:
                with self._state:
                    self._run = None
                    self._status = replace(self._status, busy_job=None, state=self._calm_state())

    def interrupt(self, job: str | None, mode: str = "interrupt") -> bool:
        """Send an interrupt to the running job; False when it is not running.

        A job that waits for an engine can only be interrupted, not skipped.
        """
        with self._state:
            child, run, candidate = self._child, self._run, self._candidate
            if candidate is not None and mode == "interrupt" and job in (None, candidate.job):
                candidate.given_up = True
                self._state.notify_all()
                return True
        if child is None or run is None or job not in (None, run.job):
            return False
        return child.send({"cmd": "interrupt", "job": run.job, "mode": mode})

    def cancel_load(self) -> bool:
        """End the loading of a checkpoint; see the protocol."""
        with self._state:
            child = self._child
        return child is not None and child.send({"cmd": "cancel_load"})

    def request(self, cmd: str, *, timeout: float = 60.0, **arguments: Any) -> Reply:
        """Send a command and wait for its answer; see the protocol."""
        number = next(self._numbers)
        box: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        deadline = time.monotonic() + timeout
        with self._state:
            self._state.wait_for(
                lambda: self._child or self._refusal or self._stopping.is_set(), timeout
            )
            child = self._child
            self._waiting[number] = box
        try:
            if child is None or not child.send({"cmd": cmd, "id": number, **arguments}):
                return _no(number, self._refusal or "The engine is not running.")
            return box.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return _no(number, f"The engine did not answer {cmd!r} within {timeout:g} s.")
        finally:
            with self._state:
                self._waiting.pop(number, None)

    def subscribe(self, on_event: EventHandler) -> Callable[[], None]:
        """Hear every event; returns the way to stop that."""
        with self._state:
            self._handlers = (*self._handlers, on_event)

        def unsubscribe() -> None:
            with self._state:
                self._handlers = tuple(h for h in self._handlers if h is not on_event)

        return unsubscribe

    # -- a job, in the thread of its caller ---------------------------------------------------

    def _give(self, run: _Run, command: dict[str, Any]) -> Outcome | None:
        """Wait for an engine that is up and hand the job to it; an outcome if it never gets one."""
        while True:
            with self._state:
                self._candidate = run
                self._state.wait_for(
                    lambda: run.given_up or self._stopping.is_set() or self._engine_up()
                )
                self._candidate = None
                if self._stopping.is_set():
                    return Outcome("crashed", "crash", "The engine has been stopped.")
                if run.given_up:
                    return Outcome("interrupted")
                child = self._child
                # A fresh queue: the death of an engine that never got the job is not its ending.
                run.begin()
                self._run = run
                self._status = replace(self._status, busy_job=run.job, state="busy")
            if child.send(command):
                return None
            with self._state:
                self._run, self._candidate = None, run
            child.wait(1.0)

    def _engine_up(self) -> bool:
        """Whether an engine has imported torch and found its device: only then jobs go to it."""
        return self._child is not None and self._child.ready

    def _follow(self, run: _Run, on_event: EventHandler) -> Outcome:
        """Hand events to the caller until the job has ended."""
        trouble: Exception | None = None
        while True:
            event = run.events.get()
            if isinstance(event, Outcome):
                outcome = event
                break
            if trouble is None:
                try:
                    on_event(event)
                except Exception as error:  # raised again below, when the engine has let go
                    trouble = error
                    self.interrupt(run.job)
            if isinstance(event, (Done, Failed)):
                outcome = _outcome(event)
                break
        if trouble is not None:
            raise trouble
        return outcome

    def _renew(self) -> None:
        """Replace an engine on the processor in which memory has run out.

        oneDNN, once it has found no memory, makes no new kernels in that process even when there
        is memory again: every picture of another size would fail.
        """
        with self._state:
            child = self._child
            if child is None or self._status.device != "CPU":
                return
            child.ready = False  # the next job waits for the new one
            self._verdict = "The engine is replaced, because memory ran out in it."
        child.kill()

    # -- the engine, in the owner's thread ----------------------------------------------------

    def _keep_alive(self) -> None:
        deaths = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            worked = self._live_once()
            if self._stopping.is_set() or self._refusal:
                return
            settled = worked or time.monotonic() - started > SETTLED_SECONDS
            deaths = 1 if settled else deaths + 1
            pause = RESTART_PAUSES[min(deaths, len(RESTART_PAUSES)) - 1]
            logger.info("the engine starts again in %g s", pause)
            self._stopping.wait(pause)

    def _live_once(self) -> bool:
        """Start an engine and serve it until it ends; True when it has finished a job."""
        try:
            child = EngineChild(self._command, self._root, self._environment)
        except OSError as error:
            self._note_death(f"The engine cannot be started: {error}.")
            return False
        with self._state:
            self._child, self._verdict = child, ""
            self._status = replace(
                BackendStatus(state="starting"),
                pid=child.pid,
                restarts=self._status.restarts,
                last_error=self._status.last_error,
            )
            self._state.notify_all()
        worked = False
        for event in child.events():
            worked = worked or isinstance(event, Done)
            self._hear(child, event)
        code = child.bury(GRACE_SECONDS)
        with self._state:
            self._child = None
            verdict = self._verdict
        ending = verdict or self._refusal or f"The engine {describe_exit(code)}."
        if not self._stopping.is_set():
            logger.error("%s Its last words:\n%s", ending, child.last_words or "(none)")
        self._note_death(ending)
        return worked

    def _note_death(self, ending: str) -> None:
        """Tell everyone who waits for the engine that it is gone."""
        stopping = self._stopping.is_set()
        with self._state:
            self._status = BackendStatus(
                state="stopped" if stopping or self._refusal else "restarting",
                restarts=self._status.restarts + (not stopping),
                last_error=self._status.last_error if stopping else ending,
            )
            run, waiting = self._run, list(self._waiting.items())
        if run is not None:
            run.events.put(Outcome("crashed", "crash", ending))
        for number, box in waiting:
            box.put(_no(number, ending))
        if not stopping:
            self._tell(Heartbeat())  # listeners look at the status

    def _hear(self, child: EngineChild, event: Event) -> None:
        with self._state:
            if isinstance(event, Hello) and event.device:
                child.ready = True
                self._state.notify_all()
            if isinstance(event, Failed) and not event.job and not child.ready:
                self._refusal = event.message
                self._state.notify_all()
            self._status = self._changed(event)
            run = self._run
            box = self._waiting.get(event.id) if isinstance(event, Reply) else None
        if box is not None:
            box.put(event)
        elif run is not None and _concerns(run, event):
            is_step, is_stage = isinstance(event, Step), isinstance(event, Working)
            run.clock.progress(time.monotonic(), is_step=is_step, is_stage=is_stage)
            run.events.put(event)
        self._tell(event)

    def _tell(self, event: Event) -> None:
        for handler in self._handlers:
            try:
                handler(event)
            except Exception:  # a listener must not end the engine
                logger.exception("a listener failed on %s", type(event).__name__)

    def _changed(self, event: Event) -> BackendStatus:
        """The status after an event."""
        now = self._status
        if isinstance(event, Hello):
            if not event.device:
                return now
            state = "busy" if self._run else "ready"
            return replace(now, state=state, device=event.device, versions=event.versions)
        if isinstance(event, Heartbeat):
            return replace(now, rss_mb=event.rss_mb)
        if isinstance(event, ModelLoading):
            return replace(now, loading=event.name, loading_fraction=event.fraction)
        if isinstance(event, ModelReady):
            return replace(
                now,
                model_name=event.name,
                model_title=event.title,
                model_hash=event.hash,
                model_family=event.family,
                model_vae=event.vae,
                loading="",
            )
        if isinstance(event, ModelGone):
            return replace(
                now,
                model_name="",
                model_title="",
                model_hash="",
                model_family="",
                model_vae=None,
                loading="",
            )
        if isinstance(event, ModelFailed):
            return replace(now, loading="", last_error=event.reason)
        if isinstance(event, Failed) and self._refusal:
            return replace(now, state="stopped", last_error=event.message)
        if isinstance(event, (Step, ImageDone, Done, Failed)):
            return replace(now, loading="")  # what was loaded was an upscaler or the like
        return now

    def _calm_state(self) -> Any:
        """The state between jobs. Called with the lock held."""
        if self._status.state != "busy":
            return self._status.state
        return "ready" if self._engine_up() else "starting"

    # -- the watchdog -------------------------------------------------------------------------

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._stopping.wait(1.0):
            now = time.monotonic()
            overslept = now - before - 1.0
            before = now
            with self._state:
                child, run = self._child, self._run
            if child is None:
                continue
            if overslept > 5.0:
                # The whole machine slept or was overloaded: that is not the engine's fault.
                child.last_heard += overslept
                if run is not None:
                    run.clock.pause(overslept)
            self._judge(child, run, now)

    def _judge(self, child: EngineChild, run: _Run | None, now: float) -> None:
        limits = self._limits()
        if silent(now, child.last_heard, child.ready, limits):
            verdict = "The engine gave no sign of life any more and was ended."
        elif run is not None and run.clock.stalled(now, limits):
            verdict = "The engine made no progress any more and was ended."
        else:
            return
        with self._state:
            self._verdict = verdict
        child.kill()


def _concerns(run: _Run, event: Event) -> bool:
    """Events of the job itself, and of a checkpoint that is loaded for it."""
    if isinstance(event, (Heartbeat, Hello, Reply)):
        return False
    return getattr(event, "job", run.job) == run.job


def _outcome(event: Done | Failed) -> Outcome:
    if isinstance(event, Failed):
        return Outcome("failed", event.failure, event.message)
    ending = "paused" if event.paused else "interrupted" if event.interrupted else "done"
    return Outcome(ending, facts=event.facts, timings=event.timings)


def _no(number: int, reason: str) -> Reply:
    return Reply(id=number, ok=False, payload={"error": reason})
