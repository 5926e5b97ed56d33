"""The two sides of the step comparison, each a living process that samples when it is told to."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from benchmarks.machine import peak_resident_mb
from benchmarks.plan import ROOT, Plan
from modules.catalog import Catalog
from modules.jobs.backends.environment import engine_environment
from modules.jobs.backends.local import LocalBackend
from modules.jobs.inputs import InputStore
from modules.jobs.prepare import Preparer
from modules.prompts import StyleBook, WildcardLibrary
from modules.requests.events import Event, Step
from modules.requests.generation import GenerationRequest
from modules.settings.flags import parse_flags
from modules.settings.paths import Paths
from modules.settings.store import OptionStore
from modules.settings.tables import build_table

MALLOC = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
PROMPT = "a red apple on a blue background"
SCALE = 7.0


@dataclass(frozen=True)
class Work:
    """One sampling run: square pictures of ``size`` pixels, classifier-free guidance, DDIM."""

    size: int
    steps: int


def surroundings(plan: Plan, *, our_malloc: bool) -> dict[str, str]:
    """Environment with the plan's threads and either glibc's own or our allocator settings."""
    threads = str(plan.threads)
    plain = {key: value for key, value in os.environ.items() if key not in MALLOC}
    plain |= {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    if not our_malloc:
        return plain
    ours = engine_environment(plain)
    return plain | {key: ours[key] for key in MALLOC if key in ours}


def malloc_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The allocator settings in an environment; empty means glibc's own."""
    return {key: environment[key] for key in MALLOC if key in environment}


@dataclass(frozen=True)
class Sample:
    """What one run took. The first step of a run is left out."""

    step_s: list[float]
    """Seconds of each step on the clock."""
    cpu_s: float
    """Mean processor seconds of a step, all threads together; other programs do not disturb it."""


class BareSide:
    """A process that answers JSON lines: by default diffusers' `StableDiffusionPipeline`."""

    def __init__(
        self, plan: Plan, *, our_malloc: bool, module: str = "benchmarks.bare_diffusers"
    ) -> None:
        self._module = module
        self.environment = surroundings(plan, our_malloc=our_malloc)
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=self.environment,
        )

    def __enter__(self) -> BareSide:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request and wait for its answer.

        Raises:
            RuntimeError: the process has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process {self._module} has ended")
        return json.loads(line)

    def sample(self, work: Work) -> Sample:
        """Sample once."""
        answer = self.ask(
            run={"prompt": PROMPT, "size": work.size, "steps": work.steps, "scale": SCALE}
        )
        return Sample(answer["step_s"], answer["cpu_s"])

    def peak_mb(self) -> float:
        """Peak resident memory."""
        return peak_resident_mb(self._process.pid)


class OurSide:
    """Easel's engine process, driven as the server drives it."""

    def __init__(self, plan: Plan, checkpoint: Path, words: Sequence[str] = ("--no-half",)) -> None:
        """`words`: flags; by default both sides compute in 32 bits."""
        self.environment = surroundings(plan, our_malloc=True)
        # On the processor, whatever else the machine has.
        told = ["--use-cpu", "all", "--no-hashing", *words]
        flags = parse_flags(["--data-dir", str(plan.data), "--ckpt", str(checkpoint), *told])
        paths = Paths.from_flags(flags)
        paths.ensure()
        options = OptionStore(paths.config_file, build_table())
        catalog = Catalog(paths, options, default_checkpoint=flags.ckpt, hashing=False)
        styles = StyleBook(paths.styles_file)
        wildcards, inputs = WildcardLibrary(paths.wildcards), InputStore(paths)
        self._preparer = Preparer(options, catalog, styles, wildcards, inputs)
        self._backend = LocalBackend(paths, flags, options.as_dict(), environment=self.environment)
        self._checkpoint = checkpoint
        self._number = 0

    def __enter__(self) -> OurSide:
        self._backend.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._backend.stop()

    @property
    def pid(self) -> int:
        """The engine's process."""
        return self._backend.status.pid or 0

    def load(
        self, checkpoint: Path | None = None, options: Mapping[str, Any] | None = None
    ) -> float:
        """Load a checkpoint, by default this side's own; seconds.

        Args:
            options: settings that differ from the defaults.

        Raises:
            RuntimeError: the engine could not.
        """
        # The engine answers its first request when torch is imported: that is not loading.
        self._backend.request("memory", timeout=300)
        started = time.perf_counter()
        reply = self._backend.request(
            "load",
            timeout=600,
            checkpoint=str(checkpoint or self._checkpoint),
            options=dict(options or {}),
        )
        if not reply.ok:
            raise RuntimeError(f"the engine did not load the model: {reply.payload}")
        return time.perf_counter() - started

    def sample(self, work: Work) -> Sample:
        """Sample once.

        Raises:
            RuntimeError: the engine failed.
        """
        stamps: list[float] = []
        processor: list[float] = []
        engine = psutil.Process(self._backend.status.pid)

        def listen(event: Event) -> None:
            if isinstance(event, Step) and event.step > 0:
                stamps.append(time.perf_counter())
                used = engine.cpu_times()
                processor.append(used.user + used.system)

        self.run(work, listen)
        return Sample(
            [after - before for before, after in itertools.pairwise(stamps)],
            (processor[-1] - processor[0]) / (len(processor) - 1),
        )

    def run(
        self,
        work: Work,
        listen: Callable[[Event], None],
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Make a picture.

        Args:
            listen: hears the job's events.
            settings: those that differ from the defaults.

        Raises:
            RuntimeError: the engine failed.
        """
        self._number += 1
        request = GenerationRequest(
            prompt=PROMPT,
            width=work.size,
            height=work.size,
            steps=work.steps,
            cfg_scale=SCALE,
            sampler_name="DDIM",
            seed=1,
            override_settings={"live_previews_enable": False, **(settings or {})},
        )
        prepared = self._preparer.prepare(request, f"bench-{self._number}", "cli")
        outcome = self._backend.run(prepared, listen)
        if outcome.ending != "done":
            raise RuntimeError(f"the engine failed: {outcome.message}")

    def peak_mb(self) -> float:
        """Peak resident memory of the engine process."""
        pid = self._backend.status.pid
        return peak_resident_mb(pid) if pid else 0.0
