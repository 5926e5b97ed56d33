"""The program's parts with an empty data folder; nothing is started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.settings.flags import parse_flags
from modules.web.compose import build_context
from modules.web.context import AppContext


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppContext]:
    """A context over the shipped model, with settings of its own."""
    data: Path = tmp_path_factory.mktemp("pages")
    built = build_context(parse_flags(["--data-dir", str(data), "--no-hashing"]))
    yield built
    built.jobs.stop()
    built.catalog.stop()
