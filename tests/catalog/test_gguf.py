"""GGUF headers: read as the format has them, refused when they cannot be."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from modules.catalog.errors import ModelFileError, UnreadableModelError, UnsupportedModelError
from modules.catalog.families import detect_family
from modules.catalog.gguf import gguf_header
from modules.catalog.scan import scan
from modules.catalog.weights import weights_header


def _text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def _tensor(name: str, shape: tuple[int, ...], form: int, offset: int) -> bytes:
    lengths = struct.pack(f"<{len(shape)}Q", *reversed(shape))
    return _text(name) + struct.pack("<I", len(shape)) + lengths + struct.pack("<IQ", form, offset)


def _file(
    path: Path,
    tensors: list[bytes],
    data: int,
    *,
    facts: list[bytes] | None = None,
    version: int = 3,
    counts: tuple[int, int] | None = None,
) -> Path:
    facts = facts or []
    sizes = counts or (len(tensors), len(facts))
    head = b"GGUF" + struct.pack("<IQQ", version, *sizes) + b"".join(facts) + b"".join(tensors)
    path.write_bytes(head + bytes(-len(head) % 32) + bytes(data))
    return path


def test_a_file_by_the_formats_own_library_is_read(tmp_path: Path) -> None:
    import gguf

    path = tmp_path / "flux1.gguf"
    writer = gguf.GGUFWriter(str(path), "flux")
    writer.add_string("general.name", "tiny")
    writer.add_array("tokens", ["a", "b"])
    plain = np.arange(12, dtype=np.float16).reshape(3, 4)
    writer.add_tensor("double_blocks.0.img_attn.norm.query_norm.scale", plain[0])
    writer.add_tensor("img_in.weight", plain)
    wide = np.random.default_rng(0).normal(size=(5, 64)).astype(np.float32)
    packed = gguf.quants.quantize(wide, gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("wide", packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    header = weights_header(path)
    assert header.shape("img_in.weight") == (3, 4)
    assert header.tensors["wide"].dtype == "Q8_0"
    assert header.tensors["wide"].shape == (5, 64)
    place = header.tensors["wide"]
    assert path.read_bytes()[place.begin : place.end] == packed.tobytes()
    assert header.metadata["general.name"] == "tiny"
    verdict = detect_family(header)
    assert verdict is not None
    assert (verdict.family, verdict.variant, verdict.problem) == ("flux", "schnell", "")
    assert [item.name for item in scan([tmp_path])] == ["flux1.gguf"]


@pytest.mark.parametrize(
    ("tensors", "data", "said"),
    [
        ([_tensor("a", (4, 32), 8, 0)], 4 * 34 - 1, "cut short"),
        ([_tensor("a", (4, 33), 8, 0)], 4096, "whole blocks"),
        ([_tensor("a", (2, 2), 0, 0), _tensor("b", (2, 2), 0, 8)], 64, "overlaps"),
        ([_tensor("a", (2, 2), 0, 0), _tensor("a", (2, 2), 0, 16)], 64, "twice"),
        ([_tensor("a", (1 << 62, 1 << 62), 0, 0)], 64, "impossible"),
        ([_tensor("a", (2, 2), 0, 0)[:-3]], 0, "cut short"),
    ],
)
def test_damaged_files_are_refused(
    tmp_path: Path, tensors: list[bytes], data: int, said: str
) -> None:
    path = _file(tmp_path / "bad.gguf", tensors, data)
    if not data:
        path.write_bytes(path.read_bytes().rstrip(b"\0"))
    with pytest.raises(UnreadableModelError, match=said):
        gguf_header(path)


def test_formats_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = _file(tmp_path / "iq.gguf", [_tensor("a", (1, 256), 19, 0)], 4096)
    with pytest.raises(UnsupportedModelError, match="number format 19"):
        gguf_header(path)
    with pytest.raises(UnsupportedModelError, match="version 9"):
        gguf_header(_file(tmp_path / "new.gguf", [], 0, version=9))


@pytest.mark.parametrize(
    "content",
    [
        b"GGUF",
        b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 60),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + _text("a") + struct.pack("<IIQ", 9, 0, 1 << 60),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + _text("a") + struct.pack("<I", 9) * 64,
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + _text("a") + struct.pack("<I", 77),
        b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q", 2) + b"\xff\xfe" + bytes(64),
    ],
)
def test_hostile_headers_end_at_once(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hostile.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelFileError):
        gguf_header(path)
