"""Whatever bytes come: the reader refuses, or names places that lie inside the file."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules.pickles.index import read_index
from modules.pickles.values import Refused, Tensor

CONTENT = {
    "state_dict": OrderedDict(
        a=torch.ones(4), b=torch.rand(3, 4).T, c=torch.nn.Parameter(torch.ones(2))
    ),
    "epoch": 3,
    "more": (1.5, b"bytes", None, {1, 2}),
}
CHANGES = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 4)), max_size=6
)


@pytest.fixture(scope="module", params=[True, False], ids=["zip", "legacy"])
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("fuzz") / "m.ckpt"
    torch.save(CONTENT, path, _use_new_zipfile_serialization=request.param)
    return path.read_bytes()


def damaged(sound: bytes, changes: list[tuple[int, int, int]]) -> bytes:
    """Bytes changed, cut out, doubled."""
    raw = bytearray(sound)
    for place, value, kind in changes:
        at = place % len(raw)
        if kind <= 2:
            raw[at] = value
        elif kind == 3:
            del raw[at : at + value % 16]
        else:
            raw[at:at] = raw[at : at + value % 16]
    return bytes(raw)


def places(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if type(value) is list else ()
    return [place for part in parts for place in places(part)]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=CHANGES)
def test_damaged_files_are_refused_or_read_inside_their_bounds(
    sound: bytes, tmp_path: Path, changes: list[tuple[int, int, int]]
) -> None:
    path = tmp_path / "m.ckpt"
    path.write_bytes(damaged(sound, changes))
    try:
        with path.open("rb", buffering=0) as stream:
            index = read_index(stream)
    except Refused as refusal:
        assert refusal.reason
        return
    for place in places(index.content):
        assert 0 <= place.begin <= place.end <= index.file_size
