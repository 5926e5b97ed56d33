"""A process that gave up its rights cannot take them back, whatever it runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRY = """
import json, os, socket, subprocess, sys
from modules.sandbox import limits, syscalls

def outcome(act):
    try:
        act()
        return "done"
    except OSError as error:
        return type(error).__name__

own, parent, new = sys.argv[1], os.getppid(), sys.argv[3]
here = socket.socket()
applied = getattr(syscalls, sys.argv[2])()
found = {
    "read": outcome(lambda: open(own, "rb").read()),
    "write": outcome(lambda: open(own, "r+b")),
    "create": outcome(lambda: open(new, "wb")),
    "delete": outcome(lambda: os.unlink(own)),
    "list": outcome(lambda: os.listdir(".")),
    "connect": outcome(lambda: here.connect(("127.0.0.1", 9))),
    "socket": outcome(socket.socket),
    "program": outcome(lambda: subprocess.run([sys.executable, "--version"])),
    "fork": outcome(os.fork),
    "kill": outcome(lambda: os.kill(parent, 0)),
    "memory": outcome(lambda: bytearray(1 << 24)),
}
print(json.dumps([applied, found]))
"""


@pytest.mark.parametrize("rule", ["only_compute", "only_read"])
def test_what_is_given_up_is_gone(rule, tmp_path):
    own = tmp_path / "own"
    own.write_bytes(b"x")
    run = subprocess.run(
        [sys.executable, "-c", TRY, str(own), rule, str(tmp_path / "new")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    applied, found = json.loads(run.stdout)
    if not applied:
        pytest.skip("this system has no seccomp filters")
    may = {"memory"} | ({"read"} if rule == "only_read" else set())
    assert {act for act, how in found.items() if how == "done"} == may
    assert {how for act, how in found.items() if act not in may} == {"PermissionError"}
    assert own.exists()
    assert not (tmp_path / "new").exists()
