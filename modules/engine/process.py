"""The engine's process: frames of commands in on stdin, frames of events out on stdout.

    python -m modules.engine.process --paths-json PATHS --flags-json FLAGS --options-json OPTIONS
        [--plugin MODULE]

Each ``-json`` argument is a JSON object; a plugin is a module whose ``install(engine)`` is called
once. The main thread works; a reader thread takes commands and acts on interrupts at once; a third
thread sends heartbeats. torch is imported after the first ``Hello``, so the server sees within
moments that the process lives. A second ``Hello`` follows when torch is in and names the device.
The process ends when its stdin closes, whatever it is doing: an engine never outlives its server.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import importlib
import json
import logging
import os
import platform
import queue
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

from modules.engine.generation.control import ControlBoard
from modules.requests.events import Event, Failed, Heartbeat, Hello, Reply
from modules.requests.prepared import PreparedJob
from modules.requests.wire import FrameWriter, WireError, read_frame

if TYPE_CHECKING:
    from modules.engine.runner import Engine

logger = logging.getLogger("easel.engine")

HEARTBEAT_SECONDS = 1.0
OUT_OF_MEMORY_SCORE = "400"
"""Linux shall end the engine, which can be replaced, rather than the server with its queue."""

Command = dict[str, Any]


class Mouth:
    """Sends events; when the server is gone the process ends."""

    def __init__(self, stream: BinaryIO) -> None:
        self._writer = FrameWriter(stream)

    def __call__(self, event: Event) -> None:
        header, blobs = event.to_wire()
        try:
            self._writer.send(header, blobs)
        except (OSError, ValueError) as error:
            if isinstance(error, ValueError) and "closed file" not in str(error):
                raise
            _leave("the server closed the pipe")


class Office:
    """What the threads of the process share: the command queue, the controls, the current job."""

    def __init__(self, emit: Mouth) -> None:
        self.emit = emit
        self.board = ControlBoard()
        self.commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self.busy_job: str | None = None
        self.engine: Engine | None = None

    def read_commands(self, stream: BinaryIO) -> None:
        """Reader thread: queue commands, act on interrupts at once, end the process at the end."""
        while True:
            try:
                frame = read_frame(stream)
            except (OSError, WireError) as error:
                _leave(f"the command pipe broke: {error}")
            if frame is None:
                _leave("the server closed the command pipe")
            self._sort(frame[0])

    def _sort(self, command: Command) -> None:
        kind = command.get("cmd")
        if kind == "interrupt":
            try:
                self.board.signal(command.get("job"), str(command.get("mode", "interrupt")))
            except ValueError as error:
                logger.error("interrupt refused: %s", error)
            return
        if kind == "memory" and self.engine is not None:
            # Only counters are read: no need to wait for the running job.
            self.emit(_answer(self.engine, command))
            return
        if kind == "cancel_load":
            if self.engine is not None:
                self.engine.desk.cancel()
            return
        if kind == "run":
            # Known from here on, so that an interrupt that follows at once finds it.
            self.board.open(str(command.get("job", {}).get("id", "")))
        self.commands.put(command)

    def beat(self) -> None:
        """Heartbeat thread."""
        pause = threading.Event()
        while not pause.wait(HEARTBEAT_SECONDS):
            self.emit(Heartbeat(rss_mb=resident_megabytes(), busy_job=self.busy_job))


def main(arguments: list[str] | None = None) -> int:
    """Run the engine until it is told to shut down."""
    options = _parse(arguments)
    stdout = claim_stdout()
    _calm_signals()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    emit = Mouth(stdout)
    emit(Hello(pid=os.getpid(), device="", versions={"python": platform.python_version()}))
    office = Office(emit)
    stdin = sys.stdin.buffer
    threading.Thread(target=office.read_commands, args=(stdin,), daemon=True).start()
    threading.Thread(target=office.beat, daemon=True).start()

    engine = office.engine = _build_engine(options, office)
    if engine is None:
        return 1
    emit(Hello(pid=os.getpid(), device=engine.device_name, versions=engine.versions()))
    _work(engine, office)
    return 0


def _work(engine: Engine, office: Office) -> None:
    """Take commands in order until ``shutdown``."""
    while True:
        command = office.commands.get()
        kind = command.get("cmd")
        if kind == "shutdown":
            return
        if kind == "run":
            _run_job(engine, office, command)
        else:
            office.emit(_answer(engine, command))


def _run_job(engine: Engine, office: Office, command: Command) -> None:
    try:
        prepared = PreparedJob.from_json(command["job"])
    except (KeyError, TypeError) as error:
        job = str(command.get("job", {}).get("id", ""))
        office.emit(Failed(job=job, failure="input", message=f"The job cannot be read: {error}"))
        return
    office.busy_job = prepared.id
    try:
        with office.board.running(prepared.id) as control:
            engine.run(prepared, control)
    finally:
        office.busy_job = None


def _answer(engine: Engine, command: Command) -> Reply:
    """Carry out a command with an id; a failure becomes a sentence in the reply."""
    number = int(command.get("id", 0))
    try:
        return Reply(id=number, ok=True, payload=engine.carry_out(command))
    except Exception as error:  # the process must outlive any command
        logger.exception("command %s failed", command.get("cmd"))
        return Reply(id=number, ok=False, payload=engine.refusal(error))


def _build_engine(options: argparse.Namespace, office: Office) -> Engine | None:
    """Import torch and the rest; this takes seconds, while heartbeats already go out.

    None when the flags are at fault: the server hears why, and starts no other engine with them.
    """
    from modules.engine.device import UnknownDevice
    from modules.engine.runner import Engine

    try:
        engine = Engine.build(
            paths=json.loads(options.paths_json),
            flags=json.loads(options.flags_json),
            options=json.loads(options.options_json),
            emit=office.emit,
        )
        for name in options.plugin:
            _install(name, engine)
        return engine
    except UnknownDevice as error:
        logger.error("%s", error)
        office.emit(Failed(failure="input", message=str(error)))
        return None


def _install(plugin: str, engine: Engine) -> None:
    """Let a plugin have its way; the engine works without those that fail."""
    try:
        importlib.import_module(plugin).install(engine)
    except Exception:
        logger.exception("the plugin %s could not be installed", plugin)


def claim_stdout() -> BinaryIO:
    """Keep the real stdout for frames and point descriptor 1, and print(), at stderr."""
    sys.stdout.flush()
    private = os.dup(1)
    os.set_inheritable(private, False)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(private, os.O_BINARY)
        msvcrt.setmode(0, os.O_BINARY)
    return os.fdopen(private, "wb", buffering=1024 * 1024)


def resident_megabytes() -> float:
    """Memory of this process that is in RAM, in MiB."""
    import psutil

    return psutil.Process().memory_info().rss / 2**20


def _calm_signals() -> None:
    """Ctrl+C reaches the whole terminal group; the server decides what becomes of the engine."""
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        if sys.platform == "linux":
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write(OUT_OF_MEMORY_SCORE)


def _leave(reason: str) -> None:
    """End at once: the main thread may be in native code for minutes."""
    logger.info("engine ends: %s", reason)
    os._exit(0)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m modules.engine.process")
    parser.add_argument("--paths-json", default="{}", help="folders, as a JSON object")
    parser.add_argument("--flags-json", default="{}", help="engine flags, as a JSON object")
    parser.add_argument("--options-json", default="{}", help="settings at start, as a JSON object")
    parser.add_argument("--plugin", action="append", default=[], help="a module to install")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Not sys.exit: the reader thread holds stdin's lock, on which a tidy shutdown would die.
    os._exit(code)
