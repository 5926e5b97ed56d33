"""Sound files of torch's are understood exactly, in every format that torch has written."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch

from modules.catalog.weights import weights_header
from modules.engine.checkpoints.tensor_file import TensorFile
from modules.engine.weight_files import read_weights
from modules.pickles.child import examine
from modules.pickles.values import Tensor
from tests.pickles.hostile import storage, table, tensor, write_legacy

DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)


def random_state(seed: int = 0) -> OrderedDict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    state = OrderedDict()
    for dtype in DTYPES:
        values = torch.randint(0, 2 if dtype is torch.bool else 100, (3, 4), generator=generator)
        state[f"of.{dtype}"] = values.to(dtype)
    state["turned"] = torch.rand(5, 3, generator=generator).T
    state["last.channels"] = torch.rand(2, 3, 4, 4, generator=generator).contiguous(
        memory_format=torch.channels_last
    )
    state["part"] = torch.rand(10, 10, generator=generator)[3:7, 2:5]
    state["tied"] = state["turned"]
    state["scalar"] = torch.tensor(2.5)
    state["empty"] = torch.zeros(0, 4)
    state["wide"] = torch.arange(7).expand(1, -1)
    return state


@pytest.mark.parametrize("new_format", [True, False])
def test_every_number_format_and_layout_is_read_bit_by_bit(
    tmp_path: Path, new_format: bool
) -> None:
    path, state = tmp_path / "m.ckpt", random_state()
    torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=new_format)
    header = weights_header(path)
    assert set(header) == set(state)
    with TensorFile(header) as file:
        for name, wanted in state.items():
            found = file.get(name)
            assert found.dtype == wanted.dtype and found.shape == wanted.shape
            assert torch.equal(found, wanted), name


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_pickle_protocol_of_torch_is_read(tmp_path: Path, protocol: int) -> None:
    path, state = tmp_path / "m.pt", random_state(1)
    torch.save(state, path, pickle_protocol=protocol)
    read = read_weights(path)
    assert all(torch.equal(read[name], wanted) for name, wanted in state.items())


def test_eight_bit_floats_are_read(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    given = torch.rand(4, 4).to(torch.float8_e4m3fn)
    torch.save({"a": given, "b": given.to(torch.float32)}, path)
    read = read_weights(path)
    assert read["a"].dtype == torch.float8_e4m3fn
    assert torch.equal(read["a"].to(torch.float32), read["b"])


def test_the_index_says_where_the_bytes_lie(tmp_path: Path) -> None:
    path = tmp_path / "m.ckpt"
    wanted = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    torch.save({"a": wanted}, path)
    place = examine(path).content["a"]
    assert isinstance(place, Tensor) and place.dtype == "F32" and place.shape == (3, 4)
    raw = path.read_bytes()[place.begin : place.end]
    assert np.array_equal(np.frombuffer(raw, "<f4").reshape(3, 4), wanted.numpy())


def test_what_a_training_program_leaves_beside_the_weights_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "full.ckpt"
    content = {
        "epoch": 3,
        "global_step": 840001,
        "pytorch-lightning_version": "1.4.2",
        "state_dict": {"a": torch.ones(2), "note": "text"},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}],
        "loss": np.float64(0.5),
        "seen": {1, 2},
        "later": defaultdict(list),
        "device": torch.device("cpu"),
        "dtype": torch.float16,
        "size": torch.Size([1, 2]),
    }
    torch.save(content, path)
    header = weights_header(path)
    assert set(header) == {"a"}
    assert header.metadata["global_step"] == "840001"
    read = read_weights(path)
    assert read["size"] == [1, 2] and sorted(read["seen"]) == [1, 2] and read["epoch"] == 3
    assert read["optimizer_states"][0]["state"][0]["exp_avg"].shape == (3,)


def test_a_lightning_checkpoint_with_its_callback_is_read(tmp_path: Path) -> None:
    """SD 1.x's own `.ckpt` names a class of pytorch-lightning, as the key of a dictionary."""
    from tests.pickles.hostile import name, text

    callbacks = b"}(" + name("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint")
    callbacks += b"}" + text("best") + b"Nsu"
    path = write_legacy(
        tmp_path / "m.ckpt",
        table(callbacks=callbacks, a=tensor(storage("0", 2), (2,), (1,))),
        ("0",),
        ((2, b"\0" * 8),),
    )
    assert set(weights_header(path)) == {"a"}


@pytest.mark.parametrize("nesting", [0, 1, 2, 3])
def test_state_dicts_inside_state_dicts_are_found(tmp_path: Path, nesting: int) -> None:
    content: dict[str, object] = {"a": torch.ones(1)}
    for _ in range(nesting):
        content = {"state_dict": content}
    torch.save(content, tmp_path / "m.pt")
    assert set(weights_header(tmp_path / "m.pt")) == {"a"}


def test_a_big_state_dict_takes_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "big.ckpt"
    state = {f"model.diffusion_model.block.{n}.weight": torch.zeros(1) for n in range(6000)}
    torch.save({"state_dict": state}, path)
    assert len(weights_header(path).tensors) == 6000


def test_a_file_that_changes_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    torch.save({"a": torch.ones(1)}, path)
    assert set(weights_header(path)) == {"a"}
    torch.save({"bb": torch.ones(2)}, path)
    assert set(weights_header(path)) == {"bb"}


def test_safetensors_are_known_by_content_whatever_the_name(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.ones(2, 2)}, tmp_path / "odd.ckpt")
    assert set(weights_header(tmp_path / "odd.ckpt")) == {"a"}


def test_torchs_files_are_known_by_content_whatever_the_name(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2, 2)}, tmp_path / "odd.safetensors")
    assert set(weights_header(tmp_path / "odd.safetensors")) == {"a"}
