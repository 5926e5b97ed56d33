"""Torch's files load as checkpoints and VAEs, and give the networks of the safetensors file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from modules.engine.checkpoints import ModelLoadError, ModelManager
from modules.engine.device import choose_policy
from tests.engine.checkpoints.conftest import EnginePaths, tiny
from tests.support.tiny_models import TinyComponents, original_vae

State = dict[str, torch.Tensor]


@pytest.fixture
def manager(engine_paths: EnginePaths) -> ModelManager:
    return ModelManager(engine_paths, choose_policy({"use_cpu": ["all"]}), hashing=False)


def weights(manager: ModelManager) -> State:
    """All weights of the loaded model, copied."""
    assert manager.current is not None
    return {
        f"{part}.{name}": value.clone()
        for part, network in manager.current.networks.items()
        for name, value in network.state_dict().items()
    }


def as_average(state: State) -> State:
    start = "model.diffusion_model."
    made = {key: value for key, value in state.items() if not key.startswith(start)}
    for key, value in state.items():
        if key.startswith(start):
            made["model_ema.diffusion_model" + key[len(start) :].replace(".", "")] = value
    return made


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".bin"])
@pytest.mark.parametrize("new_format", [True, False])
def test_a_checkpoint_of_torchs_is_the_same_model(
    manager: ModelManager, tmp_path: Path, apple: TinyComponents, suffix: str, new_format: bool
) -> None:
    safe = tiny(tmp_path / "models", components=apple, layout="single")
    manager.load(safe)
    wanted = weights(manager)
    old = safe.with_suffix(suffix)
    content = {"state_dict": load_file(safe), "global_step": 470000}
    torch.save(content, old, _use_new_zipfile_serialization=new_format)
    manager.unload()
    assert manager.load(old).name == safe.stem
    found = weights(manager)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


@pytest.mark.parametrize("kind", ["full", "average alone", "plain"])
def test_full_and_average_only_checkpoints(
    manager: ModelManager, tmp_path: Path, apple: TinyComponents, kind: str
) -> None:
    safe = tiny(tmp_path / "models", components=apple, layout="single")
    manager.load(safe)
    wanted, state = weights(manager), load_file(safe)
    content = {
        "full": {"state_dict": {**state, **as_average({k: 0 * v for k, v in state.items()})}},
        "average alone": {"state_dict": as_average(state)},
        "plain": state,
    }[kind]
    if kind == "full":
        content["state_dict"] |= state
    torch.save(content, safe.with_suffix(".ckpt"))
    manager.unload()
    manager.load(safe.with_suffix(".ckpt"))
    found = weights(manager)
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


@pytest.mark.parametrize("nested", [True, False])
def test_a_vae_of_torchs_replaces_the_one_inside(
    manager: ModelManager,
    tmp_path: Path,
    apple: TinyComponents,
    pear: TinyComponents,
    nested: bool,
) -> None:
    safe = tiny(tmp_path / "models", components=apple, layout="single")
    state = {**original_vae(pear), "loss.logvar": torch.zeros(1)}
    vae = tmp_path / "nice.vae.pt"
    torch.save({"state_dict": state} if nested else state, vae)
    manager.load(safe, vae)
    loaded = manager.current.networks["vae"].state_dict()
    for name, value in pear.vae.state_dict().items():
        assert torch.equal(loaded[name].float(), value.to(loaded[name].dtype).float()), name


def test_a_folder_with_bin_weights_loads(
    manager: ModelManager, tmp_path: Path, apple: TinyComponents
) -> None:
    folder = tiny(tmp_path / "models", components=apple)
    manager.load(folder)
    wanted = weights(manager)
    manager.unload()
    for part, stem in (
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
    ):
        safe = folder / part / f"{stem}.safetensors"
        old = "pytorch_model.bin" if stem == "model" else f"{stem}.bin"
        torch.save(load_file(safe), safe.with_name(old))
        safe.unlink()
    manager.load(folder)
    found = weights(manager)
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


def test_a_ckpt_that_is_cut_short_leaves_the_former_model(
    manager: ModelManager, tmp_path: Path, apple: TinyComponents
) -> None:
    safe = tiny(tmp_path / "models", components=apple, layout="single")
    good = manager.load(safe)
    before = weights(manager)
    old = safe.with_suffix(".ckpt")
    torch.save({"state_dict": load_file(safe)}, old)
    old.write_bytes(old.read_bytes()[:-5000])
    with pytest.raises(ModelLoadError, match=r"tiny\.ckpt: "):
        manager.load(old)
    assert manager.current is good
    assert all(torch.equal(weights(manager)[name], value) for name, value in before.items())
