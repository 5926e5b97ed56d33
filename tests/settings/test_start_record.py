"""Starts that did not finish are counted, and two in a row ask for a safe one."""

from __future__ import annotations

import json

import pytest

from modules.settings.flags import parse_flags
from modules.settings.paths import Paths
from modules.settings.start_record import StartRecord


@pytest.fixture
def paths(tmp_path):
    return Paths.from_flags(parse_flags(["--data-dir", str(tmp_path)]))


def begun(paths):
    record = StartRecord(paths)
    record.begin()
    return record


def test_the_third_start_is_safe_when_two_did_not_finish(paths):
    assert [begun(paths).safe for _ in range(4)] == [False, False, True, True]


def test_a_start_that_finished_ends_the_count(paths):
    begun(paths)
    begun(paths).finished()
    assert [begun(paths).failed for _ in range(2)] == [0, 1]


@pytest.mark.parametrize("text", ["", "[1, 2]", '{"starts": "many"}', "null", "[" * 9999])
def test_a_damaged_record_counts_as_one(paths, text):
    (paths.data / "unfinished-starts.json").write_text(text)
    assert begun(paths).failed == 1
    assert json.loads((paths.data / "unfinished-starts.json").read_text()) == {"starts": 2}


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(tmp_path):
    record = begun(Paths.from_flags(parse_flags(["--data-dir", str(tmp_path / "gone")])))
    assert not record.safe
    record.finished()
