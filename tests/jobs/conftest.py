"""A job service over real storage, settings, styles and catalog, with a small engine.

``Painter`` is a second implementation of the backend protocol: it paints plain colours in this
process, so that the order of jobs, crashes and interrupts can be steered to the moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modules.catalog import Catalog
from modules.jobs.admission import QueueLimits
from modules.jobs.backends.base import BackendStatus, EventHandler, Outcome
from modules.jobs.compose import build_jobs
from modules.jobs.service import JobService
from modules.prompts import StyleBook, WildcardLibrary
from modules.requests import events
from modules.requests.generation import GenerationRequest
from modules.requests.prepared import PreparedJob
from modules.settings.flags import Flags
from modules.settings.paths import Paths
from modules.settings.store import OptionStore
from modules.settings.tables import build_table


class Painter:
    """Paints each picture in one colour made from its seed; stops wherever a test wants."""

    slots = 1

    def __init__(self) -> None:
        self.began: list[str] = []
        self.resumed: list[str] = []
        """Of each run: the state it went on from."""
        self.crash_on: set[str] = set()
        self.crash_after_pictures: int | None = None
        self.fail_on: dict[str, tuple[str, str]] = {}
        """Job id to the kind of failure and its sentence."""
        self.deaths_before_work = 0
        self.deaf = False
        """It has no job yet and hears no wishes, as an engine that is still starting."""
        self.gate = threading.Event()
        self.gate.set()
        self.reached = threading.Event()
        self._handlers: list[EventHandler] = []
        self._wish: str | None = None
        self._stopping = False
        self.status = BackendStatus(state="ready", device="cpu")

    def start(self) -> None:
        self._tell(events.Hello(pid=1, device="cpu"))

    def subscribe(self, on_event: EventHandler) -> Callable[[], None]:
        self._handlers.append(on_event)
        return lambda: self._handlers.remove(on_event)

    def _tell(self, event: events.Event) -> None:
        for handler in list(self._handlers):
            handler(event)

    def request(self, cmd: str, *, timeout: float = 60.0, **arguments: object) -> events.Reply:
        if cmd == "load":
            self._ready(str(arguments["checkpoint"]))
        return events.Reply(id=1, ok=True)

    def _ready(self, path: str) -> None:
        name = Path(path).name
        self._tell(events.ModelReady(name=name, title=name, hash="0" * 10, family="sd1"))

    def interrupt(self, job: str | None, mode: str = "interrupt") -> bool:
        if self.deaf:
            return False
        self._wish = mode
        self.gate.set()
        return True

    def stop(self) -> None:
        self._stopping = True
        self.gate.set()

    def run(self, prepared: PreparedJob, on_event: EventHandler) -> Outcome:
        self.began.append(prepared.id)
        self._wish = None
        while self.deaf:
            self.reached.set()
            time.sleep(0.01)
        if self.deaths_before_work:
            self.deaths_before_work -= 1
            return Outcome("crashed", "crash", "The engine ended with exit code 1.")
        self._ready(prepared.checkpoint or "")
        on_event(events.Started(prepared.id))
        if prepared.id in self.fail_on:
            return Outcome("failed", *self.fail_on[prepared.id])
        request = prepared.request
        steps, batch = request["steps"], request["batch_size"]
        first, done = self._paused_at(prepared)
        for iteration in range(first, request["n_iter"]):
            for step in range(done + 1, steps + 1):
                on_event(events.Step(prepared.id, iteration, request["n_iter"], step, steps))
                on_event(events.Preview(prepared.id, step, "jpeg", b"\xff\xd8\xff preview"))
                self.reached.set()
                self.gate.wait(20)
                if self._stopping:
                    return Outcome("crashed", "crash", "The engine has been stopped.")
                if prepared.id in self.crash_on:
                    return Outcome("crashed", "crash", "The engine was ended by signal 9.")
                if self._wish == "pause":
                    return self._pause(prepared, on_event, iteration, step)
                if self._wish in ("interrupt", "skip"):
                    break
            done = 0
            for place in range(batch):
                incomplete = self._wish in ("interrupt", "skip")
                on_event(self._picture(prepared, iteration * batch + place, incomplete))
            if self.crash_after_pictures == (iteration + 1) * batch:
                self.crash_after_pictures = None
                return Outcome("crashed", "crash", "The engine was ended by signal 9.")
            if self._wish in ("interrupt", "stop_after_current"):
                on_event(events.Done(prepared.id, interrupted=True))
                return Outcome("interrupted")
            if self._wish == "pause_after_current" and iteration + 1 < request["n_iter"]:
                return self._pause(prepared, on_event, iteration + 1, 0)
            self._wish = None
        on_event(events.Done(prepared.id))
        return Outcome("done", timings={"total": 0.1})

    def _pause(
        self, prepared: PreparedJob, on_event: EventHandler, iteration: int, step: int
    ) -> Outcome:
        on_event(events.Paused(prepared.id, iteration, f"{iteration} {step}".encode()))
        on_event(events.Done(prepared.id, paused=True))
        return Outcome("paused")

    def _paused_at(self, prepared: PreparedJob) -> tuple[int, int]:
        path = prepared.resources.get("paused")
        self.resumed.append(Path(path).read_text() if path else "")
        if not path:
            return 0, 0
        iteration, step = Path(path).read_text().split()
        return int(iteration), int(step)

    def _picture(
        self, prepared: PreparedJob, index: int, incomplete: bool = False
    ) -> events.ImageDone:
        request, seed = prepared.request, prepared.all_seeds[index]
        color = bytes((seed % 256, seed // 256 % 256, 128))
        size = request["width"] * request["height"]
        facts = {
            "seed": seed,
            "prompt": prepared.all_prompts[index],
            "negative_prompt": prepared.all_negative_prompts[index],
            "steps": request["steps"],
            "sampler_name": request["sampler_name"],
            "schedule_label": request["scheduler"],
            "cfg_scale": request["cfg_scale"],
            "model_name": "painter",
            "model_hash": "0" * 10,
            **({"incomplete": True} if incomplete else {}),
        }
        return events.ImageDone(
            prepared.id, index, request["width"], request["height"], "RGB", color * size, facts
        )


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths.from_flags(Flags(data_dir=str(tmp_path / "data")))
    found.ensure()
    return found


@pytest.fixture
def make_service(paths: Paths) -> Iterator[Callable[..., JobService]]:
    """Builds services over the same data folder, as one start of the program after another."""
    started: list[JobService] = []

    def make(
        painter: Painter | None = None, limits: QueueLimits | None = None, start: bool = True
    ) -> JobService:
        options = OptionStore(paths.config_file, build_table())
        jobs = build_jobs(
            paths,
            options,
            Catalog(paths, options, hashing=False),
            StyleBook(paths.styles_file),
            WildcardLibrary(paths.wildcards),
            painter or Painter(),
            version="easel test",
            limits=limits,
        )
        if start:
            jobs.start(load_first=False)
            started.append(jobs)
        return jobs

    yield make
    for jobs in started:
        jobs.stop()


@pytest.fixture
def painter() -> Painter:
    return Painter()


def ask(**fields: object) -> GenerationRequest:
    """A small request."""
    return GenerationRequest(
        **{"prompt": "a pear", "steps": 3, "width": 64, "height": 64, "seed": 7, **fields}
    )
