from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from modules.settings import atomic


def test_write_bytes_replaces_the_whole_file(tmp_path):
    path = tmp_path / "a.bin"
    atomic.write_bytes(path, b"old" * 1000)
    atomic.write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_write_new_never_overwrites(tmp_path):
    path = tmp_path / "a.bin"
    atomic.write_new(path, b"first")
    with pytest.raises(FileExistsError):
        atomic.write_new(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def _claim(path, number, results):
    try:
        atomic.write_new(path, str(number).encode())
        results.put(number)
    except FileExistsError:
        results.put(None)


def test_of_many_processes_exactly_one_gets_a_name(tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    path = tmp_path / "name"
    workers = [context.Process(target=_claim, args=(path, n, results)) for n in range(4)]
    for worker in workers:
        worker.start()
    outcomes = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(timeout=60)
    winners = [number for number in outcomes if number is not None]
    assert len(winners) == 1
    assert path.read_bytes() == str(winners[0]).encode()


def test_json_refuses_values_that_json_does_not_have(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        atomic.write_json(tmp_path / "a.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_an_os_error_and_leaves_nothing(tmp_path):
    with pytest.raises(OSError):
        atomic.write_bytes(tmp_path / "no" / "a.bin", b"x")
    assert list(tmp_path.iterdir()) == []


_WRITER = """
import sys
from pathlib import Path
from modules.settings import atomic
path = Path(sys.argv[1])
data = [bytes([65 + i]) * 400_000 for i in range(4)]
sys.stdout.write("go\\n"); sys.stdout.flush()
while True:
    for block in data:
        atomic.write_bytes(path, block)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_writer_leaves_the_old_or_the_new_file_never_a_part(tmp_path):
    path = tmp_path / "a.bin"
    for delay in (0.01, 0.03, 0.05, 0.08, 0.13):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE
        )
        writer.stdout.readline()
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        if path.exists():
            content = path.read_bytes()
            assert len(content) == 400_000
            assert len(set(content)) == 1


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_private_file_is_the_owners_alone(tmp_path):
    atomic.write_json(tmp_path / "tokens.json", {}, private=True)
    assert (tmp_path / "tokens.json").stat().st_mode & 0o777 == 0o600


def test_an_error_names_the_file_that_was_meant(tmp_path):
    for write in (atomic.write_bytes, atomic.write_new):
        with pytest.raises(OSError) as caught:
            write(tmp_path / "no" / "a.bin", b"x")
        assert caught.value.filename == str(tmp_path / "no" / "a.bin")
