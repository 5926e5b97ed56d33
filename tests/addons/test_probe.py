"""Extensions that end or hang the process are found out in one of their own."""

from __future__ import annotations

import json

import pytest

from modules.addons import probe as probing
from modules.addons.extension import find_extensions
from modules.settings.flags import Flags
from modules.settings.paths import Paths


@pytest.fixture
def place(tmp_path):
    def make(**codes):
        for name, code in codes.items():
            folder = tmp_path / "extensions" / name / "scripts"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "x.py").write_text(code)
        flags = Flags(data_dir=str(tmp_path))
        return find_extensions(tmp_path / "extensions"), flags, Paths.from_flags(flags)

    return make


def test_what_was_found_holds_until_a_file_changes(place, monkeypatch):
    tried = []

    def count(extension, *rest):
        tried.append(extension.name)
        return "it hangs" if extension.name == "bad" else ""

    monkeypatch.setattr(probing, "_tried", count)
    arguments = place(bad="1", good="2")
    assert probing.probe(*arguments) == {"bad": "it hangs"}
    assert probing.probe(*arguments) == {"bad": "it hangs"}
    assert tried == ["bad", "good"]
    arguments = place(bad="1234")
    assert probing.probe(*arguments) == {"bad": "it hangs"}
    assert tried == ["bad", "good", "bad"]


def test_a_damaged_record_is_as_none(place, monkeypatch):
    monkeypatch.setattr(probing, "_tried", lambda *_: "")
    arguments = place(good="1")
    record = arguments[2].cache / "addons" / probing.FILE
    for text in ("[]", "{", '{"good": 3}', "null"):
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(text)
        assert probing.probe(*arguments) == {}
        assert "good" in json.loads(record.read_text())


@pytest.mark.full
def test_a_process_that_ends_or_hangs(place):
    arguments = place(
        ends="import os; os._exit(3)",
        hangs="while True: pass",
        fails="raise ValueError('told by the server')",
    )
    assert probing.probe(*arguments, seconds=20) == {
        "ends": "it ended the program while it was loaded (exit code 3)",
        "hangs": "it did not finish loading in 20 seconds",
    }
    assert list((arguments[2].cache / "addons").glob("trial-*")) == []
