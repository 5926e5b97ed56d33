"""Hostile files: nothing in them runs, each is refused quickly in one sentence that names it."""

from __future__ import annotations

import builtins
import os
import pickle
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from modules.catalog.errors import UnreadableModelError
from modules.catalog.weights import weights_header
from modules.engine.weight_files import read_weights
from tests.pickles import hostile as h

ONE = h.storage("0", 4)
FOUR = {"0": b"\0" * 16}


def refusal(path: Path) -> str:
    """The sentence; both doors say the same, and within two seconds."""
    begun = time.process_time()
    with pytest.raises(UnreadableModelError) as first:
        weights_header(path)
    with pytest.raises(UnreadableModelError) as second:
        read_weights(path)
    assert first.value.sentence == second.value.sentence
    assert time.process_time() - begun < 2
    sentence = first.value.sentence
    assert sentence.startswith(f"{path.name}: ") and "\n" not in sentence and len(sentence) < 250
    return sentence


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".bin", ".safetensors", ".SafeTensors"])
def test_a_system_call_in_any_extension_does_not_run(tmp_path: Path, suffix: str) -> None:
    mark = tmp_path / "ran"
    path = h.write_zip(tmp_path / f"evil{suffix}", h.system_call(mark))
    assert "asks for posix.system" in refusal(path) or "asks for nt.system" in refusal(path)
    h.write_legacy(path, h.system_call(mark))
    assert "system, which no weights need" in refusal(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "function",
    [
        eval,
        exec,
        __import__,
        getattr,
        setattr,
        builtins.open,
        subprocess.Popen,
        pickle.loads,
        torch.load,
        torch.storage._load_from_bytes,
        torch._utils._rebuild_sparse_tensor,
        torch._utils._rebuild_qtensor,
        os.execv,
        type,
    ],
)
def test_names_that_no_weights_need_are_refused(tmp_path: Path, function: Any) -> None:
    path = h.write_zip(tmp_path / "evil.ckpt", h.calling(function, "x"))
    assert "which no weights need" in refusal(path)


@pytest.mark.parametrize(
    "instructions",
    [
        b"\x82\x01",  # an extension registered elsewhere
        b"\x83\x01\x00",
        b"i__main__\nX\n",  # INST
        b"(c__builtin__\nset\no",  # OBJ
        b"\x96" + struct.pack("<Q", 4) + b"abcd",  # a byte array
        b"\x97",  # an out-of-band buffer
        b"P0\n",  # a persistent id in text
        b"I5\n",  # protocol 0
        b"S'text'\n",
        b"2",  # DUP
    ],
)
def test_instructions_that_no_weights_need_are_refused(tmp_path: Path, instructions: bytes) -> None:
    path = h.write_zip(tmp_path / "odd.ckpt", h.table(a=instructions))
    assert "instruction" in refusal(path)


def test_names_inside_known_modules_do_not_lead_further(tmp_path: Path) -> None:
    for module, attribute in (
        ("torch", "load"),
        ("torch", "storage._load_from_bytes"),
        ("torch._utils", "os.system"),
        ("collections", "OrderedDict.fromkeys"),
        ("torch.storage", "FloatStorage.__init__"),
        ("pytorch_lightningx", "evil"),
    ):
        body = h.name(module, attribute) + b")R"
        assert "asks for" in refusal(h.write_zip(tmp_path / "m.ckpt", h.table(a=body)))


def test_a_name_put_together_on_the_stack_is_checked_as_well(tmp_path: Path) -> None:
    body = h.text("os") + h.text("system") + b"\x93" + h.text("true") + b"\x85R"
    assert "asks for os.system" in refusal(h.write_zip(tmp_path / "m.ckpt", h.table(a=body)))
    body = h.number(1) + h.text("system") + b"\x93"
    assert "name is no text" in refusal(h.write_zip(tmp_path / "m.ckpt", h.table(a=body)))


def test_known_names_cannot_be_called_in_unknown_ways(tmp_path: Path) -> None:
    for body in (
        h.name("torch._utils", "_rebuild_tensor_v2") + b")R",
        h.name("torch._utils", "_rebuild_parameter") + b")R",
        h.name("torch._utils", "_rebuild_tensor_v2") + b"(" + h.text("x") * 4 + b"tR",
        h.name("collections", "OrderedDict") + h.text("abc") + b"\x85R",
        h.name("_codecs", "encode") + h.text("x") + h.text("rot13") + b"\x86R",
        h.name("torch", "FloatStorage") + b")R",
        h.text("x") + b")R",
    ):
        refusal(h.write_zip(tmp_path / "m.ckpt", h.table(a=body)))


def test_persistent_ids_of_other_kinds_are_refused(tmp_path: Path) -> None:
    for body in (
        h.storage("0", 4, word="module"),
        h.text("storage") + b"\x85Q",
        b"NQ",
        h.storage("0", 4).replace(b"ctorch\nFloatStorage\n", h.text("FloatStorage")),
    ):
        sentence = refusal(h.write_zip(tmp_path / "m.ckpt", h.table(a=body), FOUR))
        assert "in an unknown way" in sentence


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((2**33,), (0,), 0),
        ((2**20, 2**20), (1, 0), 0),
        ((5,), (1,), 0),
        ((4,), (1,), 1),
        ((2, 2), (3, 1), 0),
        ((1,), (1,), 2**40),
        ((2**47, 2**47), (1, 1), 0),
        ((-1,), (1,), 0),
        ((4,), (-1,), 3),
        ((1, 1), (1,), 0),
        ((1,) * 40, (1,) * 40, 0),
    ],
)
def test_impossible_shapes_are_refused(
    tmp_path: Path, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    table = h.table(a=h.tensor(ONE, shape, strides, offset))
    sentence = refusal(h.write_zip(tmp_path / "m.ckpt", table, FOUR))
    assert "claims more numbers" in sentence or "impossible shape" in sentence


def test_a_storage_of_impossible_size_is_refused(tmp_path: Path) -> None:
    for count in (-1, 2**62):
        table = h.table(a=h.tensor(h.storage("0", count), (1,), (1,)))
        assert "impossible size" in refusal(h.write_zip(tmp_path / "m.ckpt", table, FOUR))
    table = h.table(a=h.tensor(h.storage("0", 2**40), (1,), (1,)))
    assert "bytes are missing" in refusal(h.write_zip(tmp_path / "m.ckpt", table, FOUR))
    path = h.write_legacy(tmp_path / "m.ckpt", table, ("0",), ((2**40, b"\0" * 16),))
    assert "more numbers than it holds" in refusal(path)


def test_tensors_may_share_numbers_but_not_claim_the_file_many_times(tmp_path: Path) -> None:
    entries = {f"t{n}": h.tensor(ONE, (4,), (1,)) for n in range(2)}
    path = h.write_zip(tmp_path / "tied.ckpt", h.table(**entries), FOUR)
    assert len(weights_header(path).tensors) == 2
    big = {"0": b"\0" * 400_000}
    entries = {f"t{n}": h.tensor(h.storage("0", 100_000), (100_000,), (1,)) for n in range(200)}
    path = h.write_zip(tmp_path / "m.ckpt", h.table(**entries), big)
    assert "claim many times its size" in refusal(path)


def test_one_storage_described_in_two_ways_is_refused(tmp_path: Path) -> None:
    first = h.tensor(h.storage("0", 4), (4,), (1,))
    second = h.tensor(h.storage("0", 2, "DoubleStorage"), (2,), (1,))
    path = h.write_zip(tmp_path / "m.ckpt", h.table(a=first, b=second), FOUR)
    assert "twice" in refusal(path)


def sound(path: Path) -> Path:
    return h.write_zip(path, h.table(a=h.tensor(ONE, (4,), (1,))), FOUR)


def test_compressed_bombs_are_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.ckpt"
    table = h.table(a=h.tensor(h.storage("0", 2**24), (2**24,), (1,)))
    h.write_zip(path, table, {"0": bytes(2**26)}, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**19
    assert "compressed" in refusal(path)


def test_a_zip_inside_the_zip_is_just_bytes(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    inner = h.nested_zip(h.system_call(mark))
    inner += bytes(-len(inner) % 4)
    table = h.table(a=h.tensor(h.storage("0", len(inner) // 4), (len(inner) // 4,), (1,)))
    path = h.write_zip(tmp_path / "m.ckpt", table, {"0": inner})
    assert weights_header(path).tensors["a"].shape == (len(inner) // 4,)
    path.write_bytes(h.nested_zip(inner))
    refusal(path)
    assert not mark.exists()


def test_entries_that_overlap_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.ckpt"
    entries = {"a": h.tensor(ONE, (4,), (1,)), "b": h.tensor(h.storage("1", 4), (4,), (1,))}
    h.write_zip(path, h.table(**entries), {"0": b"\0" * 16, "1": b"\1" * 16})
    raw = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        first, second = (archive.getinfo(f"archive/data/{n}") for n in "01")
    at = raw.rfind(b"archive/data/1") - 46
    assert raw[at : at + 4] == b"PK\x01\x02" and second.header_offset != first.header_offset
    raw[at + 42 : at + 46] = struct.pack("<I", first.header_offset)
    path.write_bytes(raw)
    assert "overlap" in refusal(path)


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    path = sound(tmp_path / "m.ckpt")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("archive/data.pkl", h.system_call(tmp_path / "ran"))
    assert "twice" in refusal(path)


def test_two_tables_of_contents_are_refused(tmp_path: Path) -> None:
    path = sound(tmp_path / "m.ckpt")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/data.pkl", h.system_call(tmp_path / "ran"))
    assert "something else" in refusal(path)


def test_torchscript_is_refused(tmp_path: Path) -> None:
    path = sound(tmp_path / "m.pt")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/constants.pkl", b"\x80\x02).")
    assert "TorchScript" in refusal(path)


def test_another_byte_order_is_refused(tmp_path: Path) -> None:
    path = sound(tmp_path / "m.ckpt")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/byteorder", b"big")
    assert "byte order" in refusal(path)


@pytest.mark.parametrize("new_format", [True, False])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, new_format: bool) -> None:
    path = tmp_path / "m.ckpt"
    torch.save(
        {"state_dict": {"a": torch.ones(300), "b": torch.ones(5)}},
        path,
        _use_new_zipfile_serialization=new_format,
    )
    whole = path.read_bytes()
    for size in range(0, len(whole) - 1, max(1, len(whole) // 37)):
        path.write_bytes(whole[:size])
        refusal(path)


@pytest.mark.parametrize("version", [0, 1, 6, 255])
def test_other_pickle_protocols_are_refused(tmp_path: Path, version: int) -> None:
    path = h.write_zip(tmp_path / "m.ckpt", b"\x80" + bytes([version]) + b"}.")
    assert f"protocol {version}" in refusal(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"P",
        b"PK\x03\x04",
        b"PK\x03\x04" + b"\0" * 200,
        b"PK\x05\x06" + b"\0" * 18,
        b"\x80\x02}.",
        b"\x80\x02]q\x00.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"not weights at all",
        b"\x80\x04" + b"\xff" * 100,
        b"\x80\x02.",
        b"\x80\x02(.",
        b"\x80\x02u.",
        b"\x80\x02h\x05.",
        b"\x80\x02\x8a\xff" + b"\1" * 300,
        b"\0" * 300 + b"ustar",
        b"\0" * 257 + b"ustar" + b"\0" * 250,
    ],
)
def test_anything_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.ckpt"
    path.write_bytes(content)
    refusal(path)


def test_folders_pipes_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.ckpt").mkdir()
    refusal(tmp_path / "folder.ckpt")
    refusal(tmp_path / "missing.ckpt")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.ckpt")
        refusal(tmp_path / "pipe.ckpt")


@pytest.mark.parametrize(
    "body",
    [
        b"(" * 100_000,
        b"]" * 2_000_000,
        b"}" + b"\x94" * 3_000_000,
        b"N" + b"\x85" * 2_000_000,
        h.text("x" * 1000) * 5000,
        b"".join(b"}(" + h.text("a") for _ in range(100)) + b"N" + b"u" * 100,
    ],
    ids=["marks", "lists", "memo", "tuples", "texts", "depth"],
)
def test_tables_that_are_too_long_or_too_deep_are_refused(tmp_path: Path, body: bytes) -> None:
    refusal(h.write_zip(tmp_path / "m.ckpt", h.table(a=body)))


def test_lists_that_share_themselves_are_not_walked_for_ever(tmp_path: Path) -> None:
    path = h.write_zip(tmp_path / "m.ckpt", h.sharing_lists(40))
    sentence = refusal(path)
    assert "too many values" in sentence or "too deep" in sentence
    path = h.write_zip(tmp_path / "m.ckpt", h.table(a=b"]q\x00h\x00a"))
    assert "too deep" in refusal(path)


def test_a_list_that_is_copied_again_and_again_is_refused(tmp_path: Path) -> None:
    pairs = b"](" + (h.text("k") + b"N\x86") * 20_000 + b"eq\x00"
    again = (h.name("collections", "OrderedDict") + b"h\x00\x85R") * 5000
    body = b"](" + pairs + again + b"e"
    assert "too long" in refusal(h.write_zip(tmp_path / "m.ckpt", h.table(a=body)))


def test_colliding_keys_are_refused(tmp_path: Path) -> None:
    """Numbers that differ by a multiple of 2^61 - 1 have the same hash."""
    body = b"}(" + b"".join(h.number(n * (2**61 - 1)) + b"N" for n in range(1, 5000)) + b"u"
    assert "strange key" in refusal(h.write_zip(tmp_path / "m.ckpt", h.table(a=body)))


def test_odd_text_in_a_name_is_shown_harmlessly(tmp_path: Path) -> None:
    body = h.name("os\x1b[31m<script>", "x\u202ey") + b")R"
    sentence = refusal(h.write_zip(tmp_path / "m.ckpt", h.table(a=body)))
    assert "\x1b" not in sentence and "\u202e" not in sentence


def test_a_directory_that_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.ckpt"
    with path.open("wb") as stream:
        stream.write(b"PK\x03\x04")
        stream.truncate(2**31)
        stream.seek(0, os.SEEK_END)
        stream.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65534, 65534, 2**31 - 9, 4, 0))
    assert "too many entries" in refusal(path)


def test_a_file_that_is_mostly_a_hole_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.ckpt"
    with path.open("wb") as stream:
        stream.write(b"\x80\x02")
        stream.truncate(2**36)
    refusal(path)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_refusal_takes_little_memory_and_no_torch(tmp_path: Path) -> None:
    """The hungriest of the above, each in a fresh process as the files from outside are."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from modules.pickles import reader\n"
        "from modules.sandbox import limits\n"
        "limits.allow_memory(reader.MEMORY)\n"
        "assert 'refused' in reader.examined(sys.argv[1]), 'accepted'\n"
        "assert 'torch' not in sys.modules\n"
        "status = Path('/proc/self/status').read_text()\n"
        "print(status.split('VmHWM:')[1].split()[0])\n"
    )
    for path in (
        h.write_zip(tmp_path / "a.ckpt", h.table(a=b"]" * 2_000_000)),
        h.write_zip(tmp_path / "b.ckpt", h.table(a=b"N" + b"\x85" * 2_000_000)),
        h.write_zip(tmp_path / "c.ckpt", h.table(a=h.text("x" * 100) * 70_000 + b"N" * 900_000)),
        h.write_zip(tmp_path / "d.ckpt", h.sharing_lists(40)),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
        )
        assert int(done.stdout) < 200 * 1024, path.name
