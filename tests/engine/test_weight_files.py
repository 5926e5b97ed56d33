"""Weights from strangers' files: read when they are weights, refused in a sentence when not."""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict

import pytest
import torch

from modules.catalog.errors import UnreadableModelError
from modules.engine.weight_files import read_weights, state_dict_of


@pytest.fixture
def state():
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    state = layer.state_dict()
    state["half"] = torch.arange(6).reshape(2, 3).half()
    state["turned"] = torch.arange(6.0).reshape(2, 3).T
    state["shared"] = state["half"][1]
    state["number"] = torch.tensor(7)
    state["empty"] = torch.zeros(0, 3)
    state["parameter"] = torch.nn.Parameter(torch.ones(2))
    return state


@pytest.mark.parametrize("new_format", [True, False])
def test_both_of_torchs_formats_are_read_exactly(state, tmp_path, new_format):
    path = tmp_path / "net.bin"
    content = {"params_ema": state, "iter": 5, "tags": ["a", "b"]}
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    read = read_weights(path)
    assert read["iter"] == 5 and read["tags"] == ["a", "b"]
    weights = state_dict_of(read, "params_ema", "params")
    assert weights.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(weights[name], tensor) and weights[name].dtype == tensor.dtype


def test_safetensors_are_known_by_content_whatever_the_name(state, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "net.pth"
    save_file({"a": torch.ones(2, 2)}, path)
    assert torch.equal(read_weights(path)["a"], torch.ones(2, 2))


class _Runs:
    def __reduce__(self):
        return (eval, ("open('/dev/null')",))


@pytest.mark.parametrize("new_format", [True, False])
def test_a_pickle_that_wants_to_run_something_is_refused(tmp_path, new_format):
    path = tmp_path / "evil.pth"
    torch.save({"a": _Runs()}, path, _use_new_zipfile_serialization=new_format)
    with pytest.raises(UnreadableModelError, match=r"asks for (builtins|__builtin__)\.eval"):
        read_weights(path)


def test_a_plain_pickle_is_refused(tmp_path):
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(_Runs()))
    with pytest.raises(UnreadableModelError, match=r"asks for (builtins|__builtin__)\.eval"):
        read_weights(path)


def rewritten(path, change):
    """The zip file at ``path`` with every entry passed through ``change``."""
    with zipfile.ZipFile(path) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries:
            new_data, compression = change(name, data)
            if new_data is not None:
                archive.writestr(name, new_data, compression)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.pth"
    torch.save({"a": torch.zeros(1000)}, path)
    return path


def test_compressed_entries_are_refused(saved):
    rewritten(saved, lambda name, data: (data, zipfile.ZIP_DEFLATED))
    with pytest.raises(UnreadableModelError, match="compressed"):
        read_weights(saved)


def test_missing_bytes_are_noticed(saved):
    def cut(name, data):
        return (data[:-4] if "/data/" in name else data), zipfile.ZIP_STORED

    rewritten(saved, cut)
    with pytest.raises(UnreadableModelError, match="bytes are missing"):
        read_weights(saved)


def test_a_tensor_that_claims_more_than_it_has_is_refused(tmp_path):
    path = tmp_path / "net.pth"
    torch.save({"a": torch.zeros(1).expand(2**33)}, path)
    with pytest.raises(UnreadableModelError, match="claims more numbers"):
        read_weights(path)


def test_nesting_is_bounded(tmp_path):
    value = {}
    for _ in range(50):
        value = {"a": value}
    path = tmp_path / "net.pth"
    torch.save(value, path)
    with pytest.raises(UnreadableModelError, match=r"nested|too deep"):
        read_weights(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 but nothing more",
        b"not weights at all, just words in a file",
        b"\x80\x02}q\x00.",
        b"\x80\x02" + b"(" * 100_000,
        b"\x80\x02" + b"]" * 100_000 + b".",
    ],
)
def test_anything_else_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    with pytest.raises(UnreadableModelError) as refused:
        read_weights(path)
    sentence = refused.value.sentence
    assert sentence.startswith("net.pth: ") and "\n" not in sentence


def test_a_cut_off_old_file_is_refused(tmp_path):
    path = tmp_path / "net.pth"
    torch.save(OrderedDict(a=torch.ones(1000)), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UnreadableModelError, match=r"bytes are missing|more numbers"):
        read_weights(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "nowhere.pth", tmp_path):
        with pytest.raises(UnreadableModelError):
            read_weights(path)
