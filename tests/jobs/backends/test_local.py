"""The engine as a real child process: it works, dies, comes back, and never outlives its server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from modules.jobs.backends.base import Outcome
from modules.jobs.backends.environment import engine_command, engine_environment
from modules.jobs.backends.local import LocalBackend
from modules.jobs.backends.watchdog import WatchLimits
from modules.requests.events import Done, Event, Heartbeat, Hello, ImageDone, ModelFailed, Step
from modules.requests.generation import GenerationRequest
from modules.requests.prepared import PreparedJob
from modules.requests.wire import read_frame
from modules.settings.flags import Flags, parse_flags
from modules.settings.paths import Paths
from modules.settings.tables import build_table
from tests.support.tiny_models import tiny_sd

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> Flags:
    return parse_flags(["--data-dir", str(tmp_path_factory.mktemp("data")), "--use-cpu", "all"])


@pytest.fixture(scope="module")
def paths(flags: Flags) -> Paths:
    found = Paths.from_flags(flags)
    found.ensure()
    return found


@pytest.fixture(scope="module")
def checkpoint(paths: Paths) -> Path:
    return tiny_sd(paths.checkpoints, name="tiny")


@pytest.fixture(scope="module")
def backend(paths: Paths, flags: Flags, checkpoint: Path) -> Iterator[LocalBackend]:
    running = LocalBackend(paths, flags)
    running.start()
    yield running
    running.stop()


def job(name: str, checkpoint: Path | str, **fields: Any) -> PreparedJob:
    request = GenerationRequest(
        **{"prompt": "a cat", "width": 64, "height": 64, "steps": 3, "seed": 1, **fields}
    )
    count = request.n_iter * request.batch_size
    options = {**build_table().defaults(), "live_previews_enable": False}
    return PreparedJob(
        id=name,
        kind="txt2img",
        request=request.model_dump(),
        options=options,
        all_prompts=[request.prompt] * count,
        all_negative_prompts=[""] * count,
        all_seeds=[1 + i for i in range(count)],
        all_subseeds=[0] * count,
        checkpoint=str(checkpoint),
    )


def run_in_background(
    backend: LocalBackend, prepared: PreparedJob, on_event: Callable[[Event], None]
) -> tuple[threading.Thread, list[Outcome]]:
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(backend.run(prepared, on_event)))
    thread.start()
    return thread, outcomes


def test_a_job_comes_back_as_a_picture(backend: LocalBackend, checkpoint: Path) -> None:
    events: list[Event] = []
    outcome = backend.run(job("one", checkpoint), events.append)
    assert outcome.ending == "done", outcome
    assert isinstance(events[-1], Done)
    (picture,) = [event for event in events if isinstance(event, ImageDone)]
    assert len(picture.data) == 64 * 64 * 3
    assert backend.status.model_name == "tiny"
    assert backend.status.ready
    assert backend.status.device == "CPU"
    assert outcome.timings["total"] > 0


def test_interrupt_by_id_ends_the_running_job(backend: LocalBackend, checkpoint: Path) -> None:
    begun = threading.Event()
    steps: list[Step] = []

    def listen(event: Event) -> None:
        if isinstance(event, Step):
            steps.append(event)
            begun.set()

    prepared = job("long", checkpoint, steps=1000)
    thread, outcomes = run_in_background(backend, prepared, listen)
    assert begun.wait(120)
    assert not backend.interrupt("another job")
    assert backend.interrupt("long")
    thread.join(60)
    assert outcomes[0].ending == "interrupted"
    assert len(steps) < 1000
    assert not backend.interrupt("long")


def test_a_listener_that_fails_interrupts_the_job_and_is_heard(
    backend: LocalBackend, checkpoint: Path
) -> None:
    def listen(event: Event) -> None:
        if isinstance(event, Step):
            raise KeyError("the disk is full")

    with pytest.raises(KeyError, match="the disk is full"):
        backend.run(job("bad listener", checkpoint, steps=500), listen)
    assert backend.run(job("after it", checkpoint), lambda event: None).ending == "done"


def test_a_broken_checkpoint_fails_with_its_name_and_the_former_works_on(
    backend: LocalBackend, checkpoint: Path, paths: Paths
) -> None:
    broken = paths.checkpoints / "broken.safetensors"
    broken.write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    events: list[Event] = []
    outcome = backend.run(job("broken", broken), events.append)
    assert (outcome.ending, outcome.failure) == ("failed", "model")
    assert "broken.safetensors" in outcome.message
    assert [event.name for event in events if isinstance(event, ModelFailed)] == [broken.name]
    reply = backend.request("load", checkpoint=str(broken))
    assert not reply.ok
    assert "broken.safetensors" in reply.payload["error"]
    assert backend.status.model_name == "tiny"
    assert backend.run(job("still", checkpoint), lambda event: None).ending == "done"


def test_commands_are_answered(backend: LocalBackend, checkpoint: Path) -> None:
    assert backend.request("load", checkpoint=str(checkpoint)).payload["name"] == "tiny"
    memory = backend.request("memory")
    assert memory.ok
    assert memory.payload["ram"]["total"] > 0
    assert backend.request("unload").ok
    assert not backend.status.ready
    assert backend.request("reload").payload["name"] == "tiny"
    assert backend.status.ready
    unknown = backend.request("dance")
    assert not unknown.ok
    assert "dance" in unknown.payload["error"]


def test_bad_input_fails_the_job_with_a_sentence(backend: LocalBackend, checkpoint: Path) -> None:
    outcome = backend.run(job("what", checkpoint, sampler_name="Nonsense"), lambda event: None)
    assert (outcome.ending, outcome.failure) == ("failed", "input")
    assert "sampler_name" in outcome.message


@POSIX
def test_a_killed_engine_is_told_and_replaced(backend: LocalBackend, checkpoint: Path) -> None:
    begun = threading.Event()
    before = backend.status.restarts
    thread, outcomes = run_in_background(
        backend,
        job("doomed", checkpoint, steps=1000),
        lambda event: begun.set() if isinstance(event, Step) else None,
    )
    assert begun.wait(120)
    dead = backend.status.pid
    os.kill(dead, signal.SIGKILL)
    thread.join(60)
    (outcome,) = outcomes
    assert (outcome.ending, outcome.failure) == ("crashed", "crash")
    assert "signal 9" in outcome.message
    assert "out of memory" in outcome.message
    # The next job waits for the new engine.
    assert backend.run(job("reborn", checkpoint), lambda event: None).ending == "done"
    assert backend.status.restarts == before + 1
    assert backend.status.pid != dead


@POSIX
@pytest.mark.full  # its short form, over HTTP: tests/web/test_engine_faults.py
def test_an_engine_that_hangs_is_ended_by_the_watchdog(
    paths: Paths, flags: Flags, checkpoint: Path
) -> None:
    hasty = LocalBackend(paths, flags, limits=lambda: WatchLimits(silence=3.0))
    hasty.start()
    try:
        assert hasty.run(job("first", checkpoint), lambda event: None).ending == "done"
        begun = threading.Event()
        thread, outcomes = run_in_background(
            hasty,
            job("stuck", checkpoint, steps=1000),
            lambda event: begun.set() if isinstance(event, Step) else None,
        )
        assert begun.wait(120)
        os.kill(hasty.status.pid, signal.SIGSTOP)
        thread.join(60)
        assert outcomes[0].ending == "crashed"
        assert "no sign of life" in outcomes[0].message
    finally:
        hasty.stop()


def test_stop_ends_the_process_and_running_jobs(
    paths: Paths, flags: Flags, checkpoint: Path
) -> None:
    backend = LocalBackend(paths, flags)
    backend.start()
    begun = threading.Event()
    thread, outcomes = run_in_background(
        backend,
        job("cut off", checkpoint, steps=1000),
        lambda event: begun.set() if isinstance(event, Step) else None,
    )
    assert begun.wait(120)
    pid = backend.status.pid
    backend.stop()
    thread.join(30)
    assert outcomes[0].ending in ("interrupted", "crashed")
    assert backend.status.state == "stopped"
    assert not psutil.pid_exists(pid)
    assert backend.run(job("too late", checkpoint), lambda event: None).ending == "crashed"
    assert not backend.request("memory", timeout=1.0).ok


def backend_that_starts(paths: Paths, flags: Flags, script: str) -> LocalBackend:
    """A backend whose engine process runs a script."""
    backend = LocalBackend(paths, flags)
    backend._command[1:3] = ["-c", script]
    backend.start()
    return backend


def test_a_job_waits_for_an_engine_that_never_comes_up_until_it_is_interrupted(
    paths: Paths, flags: Flags
) -> None:
    backend = backend_that_starts(paths, flags, "raise SystemExit(3)")
    try:
        states: list[str] = []
        backend.subscribe(lambda event: states.append(backend.status.state))
        heard: list[Event] = []
        thread, outcomes = run_in_background(backend, job("early", "none"), heard.append)
        end = time.monotonic() + 30
        while backend.status.restarts < 2 and time.monotonic() < end:
            time.sleep(0.05)
        assert backend.status.restarts >= 2
        assert "exit code 3" in backend.status.last_error
        assert (outcomes, heard) == ([], [])
        assert "restarting" in states
        assert not backend.interrupt("early", "skip")
        assert backend.interrupt("early")
        thread.join(30)
        assert outcomes[0].ending == "interrupted"
    finally:
        backend.stop()


def test_an_engine_that_refuses_its_flags_says_why_and_is_not_started_again(
    paths: Paths, flags: Flags
) -> None:
    wrong = replace(flags, use_cpu=(), device_id="9")
    backend = backend_that_starts(paths, wrong, ONE_GPU)
    try:
        reply = backend.request("load", timeout=120.0, checkpoint="none")
        assert not reply.ok
        assert backend.status.state == "stopped"
        assert backend.status.last_error == "--device-id: '9' is not a device; allowed: 0."
        thread, outcomes = run_in_background(backend, job("held", "none"), lambda event: None)
        time.sleep(1.0)
        assert (outcomes, backend.status.restarts) == ([], 1)
        assert backend.status.pid is None
        assert backend.request("load", checkpoint="none").payload["error"].startswith("--device-id")
        assert backend.interrupt("held")
        thread.join(30)
        assert outcomes[0].ending == "interrupted"
    finally:
        backend.stop()


ONE_GPU = """
import sys, torch
torch.cuda.is_available = lambda: True
torch.cuda.device_count = lambda: 1
from modules.engine import process
process.os._exit(process.main(sys.argv[1:]))
"""


def test_life_is_shown_before_torch_is_imported_and_stray_prints_do_no_harm(
    paths: Paths, flags: Flags
) -> None:
    command = engine_command(paths, flags, {})
    command[1:3] = ["-c", STRAY_PRINTS]
    process = subprocess.Popen(
        command,
        cwd=paths.root,
        env=engine_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        kinds = [read_frame(process.stdout)[0]["ev"] for _ in range(3)]
        assert kinds[0] == Hello.kind
        assert Heartbeat.kind in kinds
    finally:
        process.kill()
        process.wait()


STRAY_PRINTS = """
import os, sys, threading, time
from modules.engine import process

def shout():
    while True:
        print('stray output', flush=True)
        os.write(1, b'more of it')
        time.sleep(0.005)

claim = process.claim_stdout
def claim_and_shout():
    stream = claim()
    threading.Thread(target=shout, daemon=True).start()
    return stream
process.claim_stdout = claim_and_shout
process.main(sys.argv[1:])
"""


def test_the_engine_ends_when_its_server_is_gone(paths: Paths, flags: Flags) -> None:
    process = subprocess.Popen(
        engine_command(paths, flags, {}),
        cwd=paths.root,
        env=engine_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert read_frame(process.stdout)[0]["ev"] == Hello.kind
        process.stdin.close()
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@POSIX
def test_ctrl_c_in_the_terminal_does_not_end_the_engine(
    backend: LocalBackend, checkpoint: Path
) -> None:
    assert backend.run(job("warm", checkpoint), lambda event: None).ending == "done"
    pid = backend.status.pid
    os.kill(pid, signal.SIGINT)
    time.sleep(0.2)
    assert backend.run(job("unmoved", checkpoint), lambda event: None).ending == "done"
    assert backend.status.pid == pid
