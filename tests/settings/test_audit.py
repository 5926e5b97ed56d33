"""The audit log."""

from __future__ import annotations

import json
import os
import stat

from modules.settings import audit
from modules.settings.audit import AuditLog


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_event_is_one_line_that_only_the_owner_reads(tmp_path):
    log = AuditLog(tmp_path / "log" / "audit.jsonl")

    log.note("login failed", address="1.2.3.4", tries=3)
    log.note("installed", name="a\nb\x1b[31m", files=["x", "y"])

    first, second = lines(log.path)
    assert (first["event"], first["tries"]) == ("login failed", 3)
    assert second["name"] == "a\nb\x1b[31m"
    assert b"\x1b" not in log.path.read_bytes()
    assert stat.S_IMODE(os.stat(log.path).st_mode) == 0o600


def test_values_are_cut_and_odd_ones_written_as_text(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl")

    log.note("x", long="y" * 10_000, number=float("nan"), many=list(range(1000)))

    (entry,) = lines(log.path)
    assert (len(entry["long"]), entry["number"], len(entry["many"])) == (500, "nan", 100)


def test_a_full_file_is_put_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "MOST_BYTES", 200)
    log = AuditLog(tmp_path / "audit.jsonl")

    for number in range(6):
        log.note("x", number=number, filler="y" * 50)

    assert lines(log.path)[-1]["number"] == 5
    assert (tmp_path / "audit.jsonl.1").exists()


def test_what_cannot_be_written_does_not_stop_the_work(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    log = AuditLog(tmp_path / "file" / "audit.jsonl")

    log.note("x")

    assert "audit log" in caplog.text
