"""Many pictures leave nothing behind, and many clients are all answered."""

from __future__ import annotations

import pytest

from benchmarks.load import clients, load
from benchmarks.plan import Plan
from benchmarks.soak import soak
from tests.support.coroutines import finish

FEW = {"progress": 8, "readers": 3, "pages": 1, "listeners": 2, "painters": 1}


@pytest.fixture
def plan(tmp_path):
    return Plan(data=tmp_path, models=tmp_path, threads=1, rounds=1, say=lambda text: None)


def test_clients_of_all_kinds_are_answered_while_pictures_are_made(server):
    tally = finish(clients(server.port, 2.0, FEW))
    assert tally.broken == {}
    assert set(tally.statuses) == {200}
    assert set(tally.seconds) == set(FEW) - {"listeners"}
    assert tally.progress_while_working
    assert tally.messages > 2


@pytest.mark.full
def test_a_hundred_clients_are_answered_for_a_minute(plan):
    found = load(plan, 60.0)
    assert found["load_5xx"] == 0
    assert found["load_broken_connections"] == {}
    assert found["load_progress_while_working"] > 1000


@pytest.mark.full
def test_memory_handles_and_threads_stay_flat(plan):
    found = soak(plan, 60, 12)
    assert found["soak_same_engine"]
    for name in ("server", "engine"):
        assert found[f"soak_{name}_rss_growth"] < 0.05, found
        assert found[f"soak_{name}_handles_growth"] <= 1, found
        assert found[f"soak_{name}_threads_growth"] <= 1, found
