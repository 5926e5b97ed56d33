"""Real kills and real failures of the disk, in processes of their own.

The short forms run always, the long ones with ``launch.py test --full``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from modules.settings.atomic import remove_stale
from tests.conftest import ROOT
from tests.support import faults
from tests.support.fault_loops import LOOPS as FAULTS
from tests.support.kill_loops import LOOPS as KILLS

STRIDE = {"job": 37, "queue": 3, "save": 2}
"""Of the calls that fail, only so many in the short form; all of the others."""
needs_fork = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="the writers are forks, killed by 9"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return faults.build(tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize("name", FAULTS)
def test_any_call_that_writes_may_fail(library, tmp_path, name):
    counts = faults.run(
        library, "tests.support.fault_loops", name, str(tmp_path), str(STRIDE.get(name, 1))
    )
    assert counts["failures"] >= 18


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(STRIDE))
def test_every_call_that_writes_may_fail(library, tmp_path, name):
    counts = faults.run(library, "tests.support.fault_loops", name, str(tmp_path), "1")
    assert counts["failures"] >= 6 * counts["calls"] * 0.8


def kill(name, folder, kills, seed):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.support.kill_loops",
            name,
            str(folder),
            str(kills),
            str(seed),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


@needs_fork
@pytest.mark.parametrize("name", KILLS)
def test_a_killed_writer_loses_nothing_that_it_said_was_done(tmp_path, name):
    assert kill(name, tmp_path, 12, seed=3)["kills"] == 12


@needs_fork
@pytest.mark.full
@pytest.mark.parametrize("name", KILLS)
def test_300_killed_writers_lose_nothing(tmp_path, name):
    figures = kill(name, tmp_path, 300, seed=11)
    assert figures["kills"] == 300
    if name == "pictures":  # else the kills did not fall where they should
        assert figures["half_files_under_hidden_names"] >= 50


def test_half_files_of_killed_writers_go_after_a_while_and_nothing_else(tmp_path):
    names = {".00001-7.png.abcd1234.tmp", ".hidden.tmp", "00001-7.png", ".x.png.ABCD.tmp"}
    for name in names:
        (tmp_path / name).write_bytes(b"half")
    assert remove_stale(tmp_path) == 0
    assert remove_stale(tmp_path, seconds=0) == 1
    assert {path.name for path in tmp_path.iterdir()} == names - {".00001-7.png.abcd1234.tmp"}
