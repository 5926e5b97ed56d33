"""Two starts that failed are followed by a safe one, which says so and can be left."""

from __future__ import annotations

import json
import sys
import time

import pytest

from modules.settings.flags import parse_flags
from modules.settings.paths import Paths
from modules.settings.start_record import StartRecord
from modules.web.compose import build_context
from modules.web.safe_mode import start_again
from tests.conftest import start_server, stop_server
from tests.web.conftest import Client


def context_of(folder, *more):
    flags = parse_flags(["--data-dir", str(folder), "--nowebui", *more])
    return build_context(flags, StartRecord(Paths.from_flags(flags)))


def closed(context):
    context.jobs.stop()
    context.lock.release()


def test_a_safe_start_takes_the_defaults_and_says_why(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"samples_format": "webp"}))
    for failed in (0, 1):
        context = context_of(tmp_path)
        assert context.starts.failed == failed
        assert context.options["samples_format"] == "webp"
        assert context.notices.to_json() == []
        closed(context)
    context = context_of(tmp_path)
    assert context.flags.safe_mode
    assert context.options["samples_format"] == "png"
    (notice,) = context.notices.to_json()
    assert (notice["code"], notice["params"]) == ("safe_mode_failed", {"count": "2"})
    assert "last 2 starts" in notice["text"]
    assert notice["lasting"]
    context.starts.finished()
    closed(context)
    assert not context_of(tmp_path).flags.safe_mode


def test_asked_for_by_hand_it_says_so_and_keeps_the_file(tmp_path):
    (tmp_path / "config.json").write_text('{"samples_format": "webp"}')
    context = context_of(tmp_path, "--safe-mode")
    (notice,) = context.notices.to_json()
    assert notice["code"] == "safe_mode"
    context.options.set_many({"samples_format": "jpg"})
    assert json.loads((tmp_path / "config.json").read_text()) == {"samples_format": "webp"}
    closed(context)


def test_there_is_nothing_to_leave_without_safe_mode(client):
    answer = client.post("/easel/v1/safe-mode/leave")
    assert answer.status == 409
    assert "not in safe mode" in answer.json()["detail"]


def test_starting_again_drops_the_flag(monkeypatch):
    started = []
    monkeypatch.setattr("os.execv", lambda *call: started.append(call))
    start_again(["python3", "webui.py", "--safe-mode", "--port", "7861"])
    assert started == [(sys.executable, [sys.executable, "webui.py", "--port", "7861"])]


@pytest.mark.skipif(sys.platform == "win32", reason="processes are replaced on POSIX only")
@pytest.mark.full
def test_the_button_starts_the_program_again_in_place(tmp_path):
    server = start_server(tmp_path / "data", "--safe-mode", "--skip-load-model-at-start")
    try:
        client = Client(server.port)
        before = client.get("/easel/v1/state").json()
        assert [notice["code"] for notice in before["notices"]] == ["safe_mode"]
        assert client.post("/easel/v1/safe-mode/leave").status == 200
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                after = client.get("/easel/v1/state").json()
            except OSError:
                time.sleep(0.2)
                continue
            if after["boot"] != before["boot"]:
                break
        assert after["notices"] == []
        assert server.process.poll() is None
    finally:
        stop_server(server)
