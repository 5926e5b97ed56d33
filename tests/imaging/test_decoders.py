"""Strangers' pictures are decoded elsewhere: what happens there does not happen to us."""

from __future__ import annotations

import os
import re
import signal
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modules.imaging import decoders
from modules.imaging.decoders import Bounds, UnreadablePicture, decode, describe
from modules.imaging.sizes import claimed_size, format_of
from tests.imaging.pictures import encoded, noisy, png_claiming, smooth

LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
SIDE = 13_000
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "AVIF")


def claiming_169_megapixels(file_format: str) -> bytes:
    """The first bytes of a file of 13000x13000 pixels; there is nothing behind them."""
    if file_format == "PNG":
        return png_claiming(SIDE, SIDE)[:33]
    if file_format == "JPEG":
        frame = struct.pack(">BHHB", 8, SIDE, SIDE, 3) + bytes(9)
        return b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame
    if file_format == "GIF":
        return b"GIF89a" + struct.pack("<HH", SIDE, SIDE) + bytes(3) + b","
    if file_format == "WEBP":
        size = (SIDE - 1).to_bytes(3, "little")
        return b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + size + size
    spatial = struct.pack(">I4sIII", 20, b"ispe", 0, SIDE, SIDE)
    return struct.pack(">I8sI4s", 20, b"ftypavif", 0, b"mif1") + spatial


@pytest.fixture
def pool(monkeypatch):
    """A pool of our own, so that its processes can be looked at and killed."""
    made = decoders.Pool()
    monkeypatch.setattr(decoders, "_POOL", made)
    yield made
    made.close()


def idle_process(pool):
    return pool._idle[-1].pid


@pytest.mark.parametrize("file_format", FORMATS)
def test_169_megapixels_are_refused_by_the_header_before_any_process_starts(pool, file_format):
    data = claiming_169_megapixels(file_format)
    assert (format_of(data), claimed_size(data)) == (file_format, (SIDE, SIDE))
    with pytest.raises(UnreadablePicture) as caught:
        decode(data, Bounds(64e6))
    assert (caught.value.reason, caught.value.width) == ("size", SIDE)
    assert pool._idle == []


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_header_tells_the_size_that_decoding_gives(file_format):
    data = encoded(noisy(37, 21), file_format)
    picture = decode(data, Bounds(1e6))
    assert claimed_size(data) == (37, 21) == (picture.width, picture.height)
    assert (picture.format, describe(data).width) == (file_format, 37)
    assert picture.image().size == (37, 21)


def test_a_webp_without_loss_tells_its_size_too():
    assert claimed_size(encoded(noisy(37, 21), "WEBP", lossless=True)) == (37, 21)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_header_that_is_cut_anywhere_tells_no_size_or_the_right_one(file_format):
    data = encoded(smooth(19, 7), file_format)
    for length in range(min(len(data), 700)):
        assert claimed_size(data[:length]) in (None, (19, 7))


def test_the_decoders_own_word_on_the_size_counts_as_well(pool):
    twice = encoded(noisy(64, 64), "JPEG")
    small = b"\xff\xc0\x00\x0b\x08\x00\x04\x00\x04\x01\x01\x11\x00"  # a frame header of 4x4 first
    data = twice[:2] + small + twice[2:]
    assert claimed_size(data) == (4, 4)
    with pytest.raises(UnreadablePicture):
        decode(data, Bounds(1000))


@LINUX
def test_the_process_has_no_rights_no_keys_and_little_memory(pool, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    decode(encoded(smooth(9, 9)), Bounds(1e6))
    place = Path(f"/proc/{idle_process(pool)}")
    assert b"secret" not in (place / "environ").read_bytes()
    limits = (place / "limits").read_text()
    space = next(line for line in limits.splitlines() if line.startswith("Max address space"))
    assert int(space.split()[3]) < 1 << 30
    if sys.platform == "linux" and os.uname().machine in ("x86_64", "aarch64"):
        assert "Seccomp:\t2" in (place / "status").read_text()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_a_process_that_died_while_it_was_idle_is_replaced(pool):
    data = encoded(smooth(9, 9))
    decode(data, Bounds(1e6))
    first = idle_process(pool)
    os.kill(first, signal.SIGKILL)
    pool._idle[-1]._process.wait()
    assert decode(data, Bounds(1e6)).width == 9
    assert idle_process(pool) != first


@pytest.mark.skipif(not hasattr(signal, "SIGSEGV"), reason="needs POSIX signals")
def test_a_crash_of_the_decoder_refuses_the_picture_and_nothing_else(pool):
    decode(encoded(smooth(9, 9)), Bounds(1e6))
    process = pool._idle[-1]._process
    os.kill(process.pid, signal.SIGSTOP)  # the picture below waits in the pipe …
    crash = threading.Timer(0.2, process.send_signal, [signal.SIGSEGV])
    crash.start()
    resume = threading.Timer(0.3, process.send_signal, [signal.SIGCONT])
    resume.start()
    with pytest.raises(UnreadablePicture, match="memory"):
        decode(encoded(smooth(9, 9)), Bounds(1e6))
    for timer in (crash, resume):
        timer.join()
    assert decode(encoded(smooth(9, 9)), Bounds(1e6)).width == 9


@LINUX
def test_a_decoder_that_takes_its_time_is_ended(pool, monkeypatch):
    decode(encoded(smooth(9, 9)), Bounds(1e6))
    os.kill(idle_process(pool), signal.SIGSTOP)
    monkeypatch.setattr(decoders, "PATIENCE", 0.2)
    monkeypatch.setattr(decoders, "PATIENCE_A_MEGAPIXEL", 0.0)
    with pytest.raises(UnreadablePicture, match="memory"):
        decode(encoded(smooth(9, 9)), Bounds(1e6))


def test_many_pictures_at_once_do_not_get_mixed_up():
    def there_and_back(seed: int) -> bool:
        picture = noisy(16 + seed, 9, seed)
        return decode(encoded(picture), Bounds(1e6)).image().tobytes() == picture.tobytes()

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(there_and_back, range(24)))


def test_no_other_process_of_ours_decodes_a_file():
    """Pillow and OpenCV are shown files where nothing can be lost, or files of our own making."""
    own = {"modules/cli/selftest/bench.py"}
    root = Path(__file__).resolve().parents[2]
    found = {
        path.relative_to(root).as_posix()
        for path in (root / "modules").rglob("*.py")
        if re.search(
            r"Image\.open\(|\bimdecode\(|\bimread\(|read_image\(|ImageFile\.Parser",
            path.read_text("utf-8"),
        )
    }
    # A1111's own names do what they do there: extension code alone calls them.
    assert {path for path in found if not path.startswith("modules/addons/a1111/")} <= own
