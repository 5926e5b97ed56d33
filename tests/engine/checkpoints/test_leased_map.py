"""Weights are converted from a mapped file while a lease keeps writers waiting."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from modules.catalog.errors import UnreadableModelError
from modules.catalog.header import open_regular, safetensors_header
from modules.engine.checkpoints.leased_map import WINDOW, _is_leased, map_leased
from modules.engine.checkpoints.tensor_file import Care, TensorFile

LARGE = WINDOW // 2 + 12_345
"""Numbers of 16 bits: more than a window."""
CUT = "import os, sys; os.truncate(sys.argv[1], 5000)"


def write(path: Path, *, odd: bool = False) -> dict[str, torch.Tensor]:
    """A safetensors file larger than a window; `odd`: its tensors begin at odd places."""
    generator = torch.Generator().manual_seed(3)
    pool = torch.randn(4099, generator=generator).half()
    tensors = {
        "small": pool[:17].clone(),
        "large": pool.repeat(LARGE // pool.numel() + 1)[:LARGE],
        "last": pool[5:8].clone(),
    }
    header, position = {}, 0
    for name, tensor in tensors.items():
        place = [position, position + tensor.nbytes]
        header[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": place}
        position = place[1]
    text = json.dumps(header).encode()
    text += b" " * ((len(text) % 2 == 0) if odd else -len(text) % 8)
    data = b"".join(tensor.numpy().tobytes() for tensor in tensors.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return tensors


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a file can be leased."""
    path = tmp_path / "probe.safetensors"
    write(path)
    with open_regular(path) as stream:
        lent = map_leased(stream, path.stat().st_size)
        if lent is None:
            pytest.skip("this system gives no leases on files")
        lent.close()
    return path


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for child in started:
        child.wait(60)


@pytest.mark.parametrize("odd", [False, True], ids=["aligned", "odd"])
@pytest.mark.parametrize("finite", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_numbers_are_those_of_the_file(
    path: Path, dtype: torch.dtype, finite: bool, odd: bool
) -> None:
    tensors = write(path, odd=odd)
    with TensorFile(safetensors_header(path), Care(finite=finite)) as file:
        for name in ("last", "large", "small"):
            there = torch.zeros(tensors[name].shape, dtype=dtype)
            file.read_into(name, there)
            assert torch.equal(there, tensors[name].to(dtype)), name


def test_pieces_end_where_their_window_ends(path: Path) -> None:
    size = path.stat().st_size
    with open_regular(path) as stream:
        lent = map_leased(stream, size)
        assert lent is not None
        content = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
        assert torch.equal(lent.piece(7, size), content[7:WINDOW])
        assert torch.equal(lent.piece(WINDOW, size), content[WINDOW : 2 * WINDOW])
        assert torch.equal(lent.piece(9, 4), content[9:13])
        lent.close()
        assert lent.piece(0, 1) is None
        lent.close()


def test_a_file_that_is_cut_while_it_is_read_is_refused_and_the_process_lives(
    path: Path, children: list[subprocess.Popen[bytes]]
) -> None:
    write(path)
    there = torch.zeros(LARGE)

    def cut() -> None:
        if not children and there.count_nonzero() > LARGE / 2:
            children.append(subprocess.Popen([sys.executable, "-c", CUT, str(path)]))
            wait_for_break(file)

    file = TensorFile(safetensors_header(path), Care(tick=cut))
    with file, pytest.raises(UnreadableModelError, match=r"changed|ended early"):
        file.read_into("large", there)
        assert children, "it was mapped"
        assert children[0].wait(60) == 0, "who waited goes on before the file is closed"
        file.check_unchanged()


def wait_for_break(file: TensorFile) -> None:
    """Until somebody waits for a file that is being read."""
    descriptor = file._stream.fileno()
    for _ in range(3000):
        if not _is_leased(descriptor):
            return
        time.sleep(0.01)
    raise AssertionError("nobody came")


def test_a_file_that_somebody_writes_to_is_read_plainly(path: Path) -> None:
    tensors = write(path)
    with path.open("r+b"), TensorFile.open(path) as file:
        assert file._map is None
        there = torch.zeros(LARGE)
        file.read_into("large", there)
        assert torch.equal(there, tensors["large"].float())


def test_small_files_and_files_that_have_become_shorter_are_not_mapped(
    path: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"0" * 1000)
    with open_regular(small) as stream:
        assert map_leased(stream, 1000) is None
    with open_regular(path) as stream:
        assert map_leased(stream, path.stat().st_size + 1) is None
        assert not _is_leased(stream.fileno())
