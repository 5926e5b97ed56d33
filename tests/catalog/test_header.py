"""Reading safetensors headers: sound files are read right, hostile ones refused quickly."""

from __future__ import annotations

import json
import os
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from modules.catalog import UnreadableModelError, header, safetensors_header
from tests.catalog.files import write_header, write_raw, write_tensors


def entry(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableModelError) as caught:
        safetensors_header(path)
    assert caught.value.path == path
    assert path.name in caught.value.sentence
    return caught.value.reason


def test_a_file_of_the_reference_library_is_read_with_its_shapes_types_and_places(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {
        "b": np.arange(6, dtype=np.float32).reshape(2, 3),
        "a": np.arange(4, dtype=np.float16),
        "scalar": np.array(7, dtype=np.int64),
        "nothing": np.zeros((0, 5), dtype=np.float32),
    }
    save_file(tensors, str(path), {"title": "x"})
    header = safetensors_header(path)
    assert set(header) == set(tensors)
    assert header.metadata == {"title": "x"}
    content = path.read_bytes()
    for name, array in tensors.items():
        place = header.tensors[name]
        assert place.shape == array.shape
        assert content[place.begin : place.end] == array.tobytes()
    assert header.tensors["a"].dtype == "F16"
    assert header.shape("b") == (2, 3)
    assert header.shape("missing") is None


@pytest.mark.parametrize(
    ("header", "data", "said"),
    [
        ({"a": entry([2], 0, 8)}, b"1234", "cut short"),
        ({"a": entry([2], 0, 8)}, b"x" * 9, "more bytes"),
        ({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, b"x" * 12, "overlaps"),
        ({"a": entry([2], 0, 8), "b": entry([1], 12, 16)}, b"x" * 16, "hole"),
        ({"a": entry([2], 8, 0)}, b"x" * 8, "offsets"),
        ({"a": entry([2], -8, 0)}, b"x" * 8, "offsets"),
        ({"a": entry([3], 0, 8)}, b"x" * 8, "does not fit its shape"),
        ({"a": entry([-1, -2], 0, 8)}, b"x" * 8, "shape"),
        ({"a": entry([2**63, 2**63], 0, 0)}, b"", "shape"),
        ({"a": entry([1] * 17, 0, 4)}, b"x" * 4, "shape"),
        ({"a": entry([2.0], 0, 8)}, b"x" * 8, "shape"),  # type: ignore[list-item]
        ({"a": entry([True, 2], 0, 8)}, b"x" * 8, "shape"),
        ({"a": entry([2], 0, 8, "F99")}, b"x" * 8, "F99"),
        ({"a": {"dtype": "F32", "shape": [2]}}, b"x" * 8, "described"),
        ({"a": {**entry([2], 0, 8), "more": 1}}, b"x" * 8, "described"),
        ({"a": 7}, b"", "described"),
        ({"__metadata__": ["x"]}, b"", "metadata"),
        ({"__metadata__": {"x": 1}}, b"", "metadata"),
    ],
)
def test_impossible_descriptions_are_refused_with_their_reason(
    tmp_path: Path, header: object, data: bytes, said: str
) -> None:
    assert said in refusal(write_header(tmp_path / "bad.safetensors", header, data))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "too short"),
        (b"\x08\x00\x00", "too short"),
        (struct.pack("<Q", 1 << 60) + b"{}" * 8, "not a safetensors file"),
        (struct.pack("<Q", 100) + b"{}" * 8, "cut short"),
        (struct.pack("<Q", 4) + b"[{}]" + b"x" * 8, "not JSON"),
        (struct.pack("<Q", 4) + b"\xff\xfe{}" + b"x" * 8, "not JSON"),
        (struct.pack("<Q", 6) + b'{"\xff"}' + b"x" * 8, "not valid"),
        (struct.pack("<Q", 9) + b'{"a":NaN}' + b"x" * 8, "not a number"),
        (struct.pack("<Q", 13) + b'{"a":1,"a":2}' + b"x" * 8, "twice"),
        (b"PK\x03\x04" + b"\x00" * 60, "not"),
    ],
)
def test_files_that_are_not_of_the_format_are_refused(
    tmp_path: Path, raw: bytes, said: str
) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(raw)
    assert said in refusal(path)


def bloated_metadata() -> bytes:
    return b'{"__metadata__":{' + b",".join(b'"%d":""' % i for i in range(1_400_000)) + b"}}"


def bloated_strings_that_hide_quotes() -> bytes:
    return b'{"__metadata__":{' + b",".join(b'"\\\\%d":""' % i for i in range(1_200_000)) + b"}}"


@pytest.mark.parametrize(
    "header",
    [
        bloated_metadata(),
        bloated_strings_that_hide_quotes(),
        b'{"a":[' + b"[]," * 5_000_000 + b"[]]}",
        b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"a":' + b'{"a":' * 190_000 + b"1" + b"}" * 190_001,
        b'{"' + b'\\"' * 7_000_000,
        b'{"a":[' + b"1," * 7_000_000 + b"1]}",
        b'{"a":' + b"9" * 5_000_000 + b"}",
    ],
    ids=["metadata", "escapes", "lists", "deep-lists", "deep-objects", "open", "numbers", "digits"],
)
def test_headers_made_to_cost_time_or_memory_are_refused_cheaply(
    tmp_path: Path, header: bytes
) -> None:
    path = write_raw(tmp_path / "bloat.safetensors", header, b"x" * 8)
    started = time.process_time()
    refusal(path)
    assert time.process_time() - started < 2
    tracemalloc.start()
    refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


def test_a_header_above_16_mb_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "big.safetensors"
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", 90 << 20))
        stream.truncate(100 << 20)
    assert "16 MB" in refusal(path)


def test_a_lora_with_megabytes_of_training_tags_is_still_read(tmp_path: Path) -> None:
    tags = json.dumps({f"tag {i}": {"a": i, "b": [i]} for i in range(150_000)})
    path = write_tensors(tmp_path / "l.safetensors", {"x": (2,)}, metadata={"tags": tags})
    assert safetensors_header(path).metadata["tags"] == tags


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    path = tmp_path / "pipe.safetensors"
    os.mkfifo(path)
    assert "regular file" in refusal(path)


def test_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path)
    assert refusal(tmp_path / "missing.safetensors")


def test_a_link_to_a_file_elsewhere_is_followed(tmp_path: Path) -> None:
    target = write_tensors(tmp_path / "elsewhere" / "a.safetensors", {"x": (2,)})
    link = tmp_path / "link.safetensors"
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("links are not allowed here")
    assert "x" in safetensors_header(link)


def test_control_characters_of_a_file_never_reach_a_message(tmp_path: Path) -> None:
    header = {"evil\n\x1b[31m<script>": entry([3], 0, 8)}
    reason = refusal(write_header(tmp_path / "bad.safetensors", header, b"x" * 8))
    assert reason.isprintable()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=300), honest=st.booleans())
def test_random_bytes_give_a_header_or_the_named_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, honest: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.safetensors"
    path.write_bytes((struct.pack("<Q", len(data)) if honest else b"") + data)
    try:
        safetensors_header(path)
    except UnreadableModelError as error:
        assert error.sentence.isprintable()


@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
def test_one_changed_byte_never_gives_anything_but_a_consistent_header(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    good = write_tensors(folder / "good.safetensors", {"a": (2, 3), "b": (4,)}).read_bytes()
    changed = bytearray(good)
    changed[position % len(good)] = value
    path = folder / "changed.safetensors"
    path.write_bytes(changed)
    try:
        header = safetensors_header(path)
    except UnreadableModelError:
        return
    assert all(0 <= e.begin <= e.end <= len(good) for e in header.tensors.values())


def test_a_header_that_has_settled_is_parsed_once_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"first": np.zeros(4, np.float32)}, path)
    assert safetensors_header(path) is not safetensors_header(path), "it may change this moment"
    monkeypatch.setattr(header, "SETTLED_NS", 0)
    known = safetensors_header(path)
    assert safetensors_header(path) is known
    save_file({"other": np.zeros(4, np.float32)}, path)
    os.utime(path, ns=(1, 1))
    assert list(safetensors_header(path)) == ["other"]
    os.link(path, tmp_path / "b.safetensors")
    assert safetensors_header(tmp_path / "b.safetensors").path.name == "b.safetensors"
    path.unlink()
    with pytest.raises(UnreadableModelError, match="cannot be read"):
        safetensors_header(path)


def test_only_the_last_headers_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "SETTLED_NS", 0)
    paths = [tmp_path / f"{number}.safetensors" for number in range(header.REMEMBERED + 1)]
    for path in paths:
        save_file({"first": np.zeros(4, np.float32)}, path)
    known = [safetensors_header(path) for path in paths]
    assert safetensors_header(paths[-1]) is known[-1]
    assert safetensors_header(paths[1]) is known[1]
    assert safetensors_header(paths[0]) is not known[0]
