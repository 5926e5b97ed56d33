"""SECURITY.md promises nothing whose test is not there."""

from __future__ import annotations

import re

import pytest

from modules.web import patience
from modules.web.gate.clients import ClientLimits
from modules.web.gate.gate import MAX_HEADER_BYTES, GateConfig
from modules.web.gate.hosts import HostList
from tests.conftest import ROOT

TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("title", "least"), [("## Promises", 21), ("## Figures", 19)])
def test_every_promise_and_figure_names_tests_that_are_there(title, least):
    section = TEXT.partition(title)[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line[:2] == "| "][1:]
    rows = [row for row in rows if not row.startswith("|---")]
    assert len(rows) >= least
    for row in rows:
        named = re.findall(r"`(tests/[^`]+)`", row.rsplit("|", 2)[1])
        assert named, row
        for name in named:
            path = ROOT / name
            assert path.is_file() or any(path.glob("**/test_*.py")), name


def test_the_figures_are_those_of_the_program():
    config, limits = GateConfig(HostList(frozenset())), ClientLimits()
    for figure in (
        f"within {patience.HEADER_SECONDS:g} s",
        f"within {config.body_seconds:g} s",
        f"for {patience.STALLED_SECONDS:g} s are given up",
        f"{config.max_body_bytes // 2**20} MB a body",
        f"{MAX_HEADER_BYTES // 2**10} KB of headers",
        f"{limits.buffered_bytes // 2**20} MB of bodies at once",
        f"{patience.MAX_OF_ONE} connections, {limits.at_once} requests and {limits.sockets} live",
        f"{limits.per_second:g} requests a second ({limits.burst:g} at once)",
    ):
        assert figure in " ".join(TEXT.split()), figure
