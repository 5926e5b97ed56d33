"""Frames survive the pipe, and bytes that are not frames are refused."""

from __future__ import annotations

import io
import os
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.requests.wire import MAX_BLOB_BYTES, FrameWriter, WireError, pack, read_frame

MESSAGES = st.dictionaries(
    st.text(max_size=8).filter(lambda key: key != "blobs"),
    st.one_of(st.integers(), st.text(), st.booleans(), st.none(), st.lists(st.integers())),
    max_size=4,
)


@given(MESSAGES, st.lists(st.binary(max_size=200), max_size=4))
def test_what_is_written_is_what_is_read(message: dict, blobs: list[bytes]) -> None:
    stream = io.BytesIO()
    FrameWriter(stream).send(message, blobs)
    FrameWriter(stream).send({"next": 1})
    stream.seek(0)
    assert read_frame(stream) == (message, blobs)
    assert read_frame(stream) == ({"next": 1}, [])
    assert read_frame(stream) is None


def test_a_stream_that_ends_inside_a_frame_is_an_error() -> None:
    stream = io.BytesIO()
    FrameWriter(stream).send({"event": "image"}, [b"12345678"])
    whole = stream.getvalue()
    for length in range(1, len(whole)):
        with pytest.raises(WireError):
            read_frame(io.BytesIO(whole[:length]))


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">I", 2**32 - 1),
        struct.pack(">I", 2) + b"[]",
        struct.pack(">I", 4) + b"\xff\xfe{}",
        pack({"blobs": [MAX_BLOB_BYTES + 1]}),
        pack({"blobs": [-1]}),
        pack({"blobs": [True]}),
        pack({"blobs": [0] * 1000}),
        pack({"blobs": "12"}),
    ],
)
def test_bytes_that_are_no_frame_are_refused_before_memory_is_taken(data: bytes) -> None:
    with pytest.raises(WireError):
        read_frame(io.BytesIO(data + b"x" * 64))


def test_not_a_number_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        FrameWriter(io.BytesIO()).send({"value": float("nan")})


def test_frames_of_several_threads_do_not_mix() -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "wb") as sink, os.fdopen(read_end, "rb") as source:
        writer = FrameWriter(sink)

        def talk(number: int) -> None:
            for index in range(50):
                writer.send({"from": number, "index": index}, [bytes([number]) * 5000])

        threads = [threading.Thread(target=talk, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        seen: dict[int, list[int]] = {number: [] for number in range(4)}
        for _ in range(200):
            message, blobs = read_frame(source)
            assert blobs == [bytes([message["from"]]) * 5000]
            seen[message["from"]].append(message["index"])
        for thread in threads:
            thread.join()
    assert all(indices == list(range(50)) for indices in seen.values())
