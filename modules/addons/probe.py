"""Tries extensions out in a process of its own before the server executes their code.

An error is no reason to leave an extension out: it is caught and told when the server loads it.
What cannot be caught is: a process that ends, crashes or hangs. The answer is kept until a file of
the extension changes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modules.addons.extension import Extension
from modules.addons.host import Host
from modules.addons.world import Plan, load
from modules.settings import atomic
from modules.settings.flags import Flags
from modules.settings.paths import ROOT, Paths

log = logging.getLogger("easel.addons")

SECONDS = 30.0
"""For one extension; the first one also waits for Gradio."""
START_SECONDS = 60.0
FILE = "probes.json"


def probe(
    extensions: Sequence[Extension], flags: Flags, paths: Paths, seconds: float = SECONDS
) -> dict[str, str]:
    """Name → why it must stay off, of those that are on and do not survive being loaded."""
    record = paths.cache / "addons" / FILE
    known = _read(record)
    active = [one for one in extensions if one.active]
    marks = {one.name: fingerprint(one.folder) for one in active}
    todo = [one for one in active if known.get(one.name, {}).get("mark") != marks[one.name]]
    for one in todo:
        reason = _tried(one, flags, paths, seconds)
        known[one.name] = {"mark": marks[one.name], "reason": reason}
        if reason:
            log.error("extension %s stays off: %s", one.name, reason)
    if todo:
        try:
            record.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_json(record, known)
        except OSError as error:
            log.warning("what was tried cannot be kept: %s", error)
    return {name: known[name]["reason"] for name in marks if known[name]["reason"]}


def faults(extensions: Sequence[Extension], paths: Paths) -> dict[str, str]:
    """What is known without trying again: name → why it must stay off, of those that are on."""
    known = _read(paths.cache / "addons" / FILE)
    rows = [(one, known[one.name]) for one in extensions if one.active and one.name in known]
    return {
        one.name: row["reason"]
        for one, row in rows
        if row.get("reason") and row["mark"] == fingerprint(one.folder)
    }


def forget(name: str, paths: Paths) -> None:
    """Try it once more at the next start."""
    record = paths.cache / "addons" / FILE
    known = _read(record)
    if known.pop(name, None) is not None:
        atomic.write_json(record, known)


def fingerprint(folder: Path) -> str:
    """Changes when a Python file of an extension does."""
    digest = hashlib.sha256()
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        for name in sorted(files):
            if name.endswith((".py", ".ini")):
                stat = os.stat(os.path.join(root, name))
                digest.update(f"{root}/{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _tried(extension: Extension, flags: Flags, paths: Paths, seconds: float) -> str:
    """Why loading it alone does not end well; empty when it does."""
    folder = paths.cache / "addons" / f"trial-{secrets.token_hex(4)}"
    Plan((replace(extension, off=""),), flags).write(folder)
    token = secrets.token_hex(8)
    child = subprocess.Popen(
        [sys.executable, "-m", "modules.addons.probe", str(folder), token],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "GRADIO_ANALYTICS_ENABLED": "False"},
        text=True,
        errors="replace",
        start_new_session=os.name != "nt",
    )
    seen: list[str] = []
    ready = threading.Event()

    def read() -> None:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith(token):
                seen.append(line.split()[1])
                ready.set()
        ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        ready.wait(START_SECONDS)
        code = child.wait(seconds)
    except subprocess.TimeoutExpired:
        return f"it did not finish loading in {seconds:g} seconds"
    finally:
        _end(child)
        reader.join(5)
        _remove(folder)
    if "done" in seen:
        return ""
    if code < 0:
        return f"it crashed while it was loaded (signal {-code})"
    return f"it ended the program while it was loaded (exit code {code})"


def _end(child: subprocess.Popen[str]) -> None:
    if child.poll() is not None:
        return
    try:
        if os.name != "nt":
            os.killpg(child.pid, 9)
        else:
            child.kill()
    except OSError:
        child.kill()
    child.wait(10)


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    folder.rmdir()


def _read(record: Path) -> dict[str, Any]:
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        rows = {name: dict(row) for name, row in found.items()}
        return {name: row for name, row in rows.items() if {"mark", "reason"} <= row.keys()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def main(folder: Path, token: str) -> None:
    """The child: load everything as the server would, and say so."""
    import gradio  # noqa: F401 - its own time is not the extension's

    sys.stdout.write(f"\n{token} ready\n")
    sys.stdout.flush()
    plan = Plan.read(folder)
    paths = Paths.from_flags(plan.flags)
    world = load(Host("server", plan.flags, paths, list(plan.extensions)))
    world.begin_ui()
    world.headless_ui()
    sys.stdout.write(f"\n{token} done\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
