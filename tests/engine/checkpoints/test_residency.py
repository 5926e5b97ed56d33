"""Several models in memory: who stays, who goes, and what coming back costs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from modules.engine.adapters.adapter_file import read_adapter
from modules.engine.adapters.fitting import fit
from modules.engine.adapters.layer_names import LayerNames
from modules.engine.adapters.merged import Strength, Use
from modules.engine.checkpoints import LoadedModel, ModelLoadError, ModelManager
from modules.engine.checkpoints.arena import SMALLEST_BLOCK, room_for
from modules.engine.checkpoints.errors import LoadCancelled
from modules.engine.checkpoints.machine_memory import Memory, machine_memory
from modules.engine.checkpoints.residency import ResidencyRules
from modules.engine.device import DevicePolicy
from tests.engine.checkpoints.conftest import EnginePaths, tiny
from tests.engine.checkpoints.test_manager import answers, same
from tests.support.tiny_models import TinyComponents, original_vae

CPU = DevicePolicy(torch.device("cpu"), torch.float32, torch.float32, torch.float32)
GB = 2**30


@pytest.fixture(scope="module")
def shelf(
    tmp_path_factory: pytest.TempPathFactory, apple: TinyComponents, pear: TinyComponents
) -> dict[str, Path]:
    """Four checkpoints of one shape, two of them with the same weights as the others."""
    folder = tmp_path_factory.mktemp("shelf")
    made = {"a": apple, "b": pear, "c": apple, "d": pear}
    return {
        name: tiny(folder, name=name, components=components, layout="single")
        for name, components in made.items()
    }


def manager_with(tmp_path: Path, **rules: Any) -> ModelManager:
    paths = EnginePaths((tmp_path,), tmp_path / "cache", tmp_path / "VAE-approx")
    return ModelManager(paths, CPU, hashing=False, rules=ResidencyRules(**rules))


def names(manager: ModelManager) -> list[str]:
    return [model.name for model in manager.residents]


def test_a_second_visit_reads_nothing_and_gives_the_very_model_back(
    tmp_path: Path, shelf: dict[str, Path]
) -> None:
    manager = manager_with(tmp_path, limit=2)
    first = manager.load(shelf["a"])
    before = answers(first)
    other = manager.load(shelf["b"])
    assert not same(before, answers(other))
    reads: list[int] = []
    assert manager.load(shelf["a"], tick=lambda: reads.append(1)) is first
    assert manager.current is first and reads == []
    first.conditioner.forget()
    assert same(before, answers(first))


def test_the_one_used_longest_ago_goes_first_and_favourites_last(
    tmp_path: Path, shelf: dict[str, Path]
) -> None:
    manager = manager_with(tmp_path, limit=2)
    for name in "abac":
        manager.load(shelf[name])
    assert names(manager) == ["a", "c"]
    manager.rules = ResidencyRules.from_options(
        {"sd_checkpoints_limit": 2, "sd_checkpoints_pinned": ["a.safetensors [0123456789]"]}
    )
    for name in "bcd":
        manager.load(shelf[name])
    assert names(manager) == ["a", "d"]


def test_without_room_for_two_the_weights_are_exchanged_in_place(
    tmp_path: Path, shelf: dict[str, Path]
) -> None:
    manager = manager_with(tmp_path)
    unet = manager.load(shelf["a"]).networks["unet"]
    size = manager.bytes
    for rules in ({"limit": 1}, {"limit": 0, "budget": int(1.5 * size)}):
        manager.rules = ResidencyRules(**rules)
        for name in "ba":
            model = manager.load(shelf[name])
            assert model.networks["unet"] is unet
            assert manager.bytes == size and len(manager.residents) == 1
    manager.rules = ResidencyRules(limit=0, budget=int(2.5 * size))
    for name in "abcd":
        manager.load(shelf[name])
    assert manager.bytes == 2 * size and names(manager) == ["c", "d"]


def test_a_budget_that_is_too_small_for_one_still_loads_one(
    tmp_path: Path, shelf: dict[str, Path]
) -> None:
    manager = manager_with(tmp_path, limit=0, budget=1)
    for name in "ab":
        manager.load(shelf[name])
    assert names(manager) == ["b"]


def test_a_model_that_changed_on_disk_while_it_waited_is_read_again(
    tmp_path: Path, shelf: dict[str, Path], apple: TinyComponents, pear: TinyComponents
) -> None:
    manager = manager_with(tmp_path, limit=2)
    path = tiny(tmp_path, name="mine", components=apple, layout="single")
    first = manager.load(path)
    before = answers(first)
    manager.load(shelf["d"])
    tiny(tmp_path, name="mine", components=pear, layout="single")
    second = manager.load(path)
    assert second is not first and not same(before, answers(second))
    assert names(manager) == ["d", "mine"]
    sidecar = path.with_suffix(".easel.json")
    sidecar.write_text('{"scheduler": {"prediction_type": "v_prediction"}}')
    third = manager.load(path)
    assert third.model_sampling.prediction_type == "v_prediction"
    assert third.networks["unet"] is second.networks["unet"], "the weights are the same"


def test_models_share_a_separate_vae_and_spare_ones_wait(
    tmp_path: Path, shelf: dict[str, Path], apple: TinyComponents, pear: TinyComponents
) -> None:
    vaes = []
    for name, components in (("v", apple), ("w", pear)):
        vaes.append(tmp_path / f"{name}.safetensors")
        state = {k: v.half().contiguous() for k, v in original_vae(components).items()}
        save_file(state, str(vaes[-1]))
    manager = manager_with(tmp_path, limit=0)
    one, two = manager.load(shelf["a"], vaes[0]), manager.load(shelf["b"], vaes[0])
    assert one.networks["vae"] is two.networks["vae"]
    with_v = answers(two)[2]
    replaced = manager.load(shelf["b"], vaes[1])
    assert replaced.networks["unet"] is two.networks["unet"]
    assert replaced.networks["vae"] is not one.networks["vae"], "the other model still needs it"
    assert torch.equal(answers(manager.load(shelf["a"], vaes[0]))[2], answers(one)[2])

    alone = manager_with(tmp_path, limit=1, spare_vaes=1)
    first = alone.load(shelf["b"], vaes[0]).networks["vae"]
    alone.load(shelf["b"], vaes[1])
    reads: list[int] = []
    back = alone.load(shelf["b"], vaes[0], tick=lambda: reads.append(1))
    assert back.networks["vae"] is first and reads == []
    assert torch.equal(answers(back)[2], with_v)


def test_a_failed_load_leaves_those_that_wait_where_they_are(
    tmp_path: Path, shelf: dict[str, Path]
) -> None:
    manager = manager_with(tmp_path, limit=3)
    waiting, current = manager.load(shelf["a"]), manager.load(shelf["b"])
    before = answers(waiting), answers(current)
    bad = tmp_path / "bad.safetensors"
    state = load_file(str(shelf["c"]))
    state["first_stage_model.decoder.conv_out.bias"][0] = torch.nan
    save_file(state, str(bad))
    with pytest.raises(ModelLoadError, match="NaN"):
        manager.load(bad)
    assert manager.residents == [waiting, current] and manager.current is current
    for model, answer in zip((waiting, current), before, strict=True):
        model.conditioner.forget()
        assert same(answer, answers(model))


def test_a_failed_load_frees_what_it_took_from_those_that_had_to_go(
    tmp_path: Path, shelf: dict[str, Path], apple: TinyComponents, pear: TinyComponents
) -> None:
    manager = manager_with(tmp_path, limit=2)
    path = tiny(tmp_path, name="mine", components=apple)
    gone, current = manager.load(path), manager.load(shelf["b"])
    before = answers(current)
    unet = tiny(tmp_path, name="other", components=pear) / "unet"
    state = load_file(str(unet / "diffusion_pytorch_model.safetensors"))
    state["conv_out.bias"][0] = torch.nan
    save_file(state, str(path / "unet" / "diffusion_pytorch_model.safetensors"))
    with pytest.raises(ModelLoadError, match="NaN"):
        manager.load(path)
    assert manager.residents == [current]
    assert all(weight.is_meta for net in gone.networks.values() for weight in net.parameters())
    current.conditioner.forget()
    assert same(before, answers(current))


@pytest.mark.parametrize("limit", [1, 2], ids=["in place", "beside"])
@pytest.mark.parametrize("moment", [0, 40, 300])
def test_a_cancelled_load_gives_the_former_model_back_within_moments(
    tmp_path: Path, shelf: dict[str, Path], limit: int, moment: int
) -> None:
    manager = manager_with(tmp_path, limit=limit)
    former = manager.load(shelf["a"])
    before = answers(former)
    count = 0

    def cancel() -> None:
        nonlocal count
        count += 1
        if count > moment:
            raise LoadCancelled

    with pytest.raises(LoadCancelled):
        manager.load(shelf["b"], tick=cancel)
    assert count == moment + 1, "nothing was read after it"
    assert manager.current is former and names(manager) == ["a"]
    former.conditioner.forget()
    assert same(before, answers(former))
    assert manager.load(shelf["b"]).name == "b"


def test_unload_frees_everything_and_reload_brings_the_last_one_back(
    tmp_path: Path, shelf: dict[str, Path]
) -> None:
    manager = manager_with(tmp_path, limit=0)
    unets = [manager.load(shelf[name]).networks["unet"] for name in "ab"]
    manager.unload()
    assert (manager.bytes, manager.residents, manager.current) == (0, [], None)
    assert all(weight.is_meta for unet in unets for weight in unet.parameters())
    assert manager.reload().name == "b"


def test_the_automatic_budget_leaves_memory_for_others() -> None:
    rules = ResidencyRules(limit=0)
    assert rules.ram(0, Memory(100 * GB, 90 * GB)) == 60 * GB
    assert rules.ram(10 * GB, Memory(100 * GB, 20 * GB)) == 15 * GB
    assert ResidencyRules(limit=0, budget=7).ram(0, Memory(100 * GB, 1)) == 7
    assert rules.device(Memory(10 * GB, 10 * GB)) == 0
    both = ResidencyRules(one_on_device=False)
    assert both.device(Memory(10 * GB, 1)) == 6 * GB and both.device(None) == 0


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    assert machine_memory(tmp_path / "none").total > GB // 4
    (tmp_path / "memory.max").write_text(f"{GB // 4}\n")
    (tmp_path / "memory.current").write_text(f"{GB // 5}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {GB // 100}\nactive_file 0\n")
    found = machine_memory(tmp_path)
    assert found.total == GB // 4
    assert found.available == GB // 4 - GB // 5 + GB // 100
    (tmp_path / "memory.max").write_text("max\n")
    assert machine_memory(tmp_path).total > GB // 4


def test_weights_lie_in_one_block_that_goes_back_to_the_system() -> None:
    psutil = pytest.importorskip("psutil")
    process, device = psutil.Process(), torch.device("cpu")
    wanted = {str(i): ((3, 5 + i, 1000), torch.float16) for i in range(200)}
    wanted["big"] = ((SMALLEST_BLOCK,), torch.float32)
    before = process.memory_info().rss
    made = room_for(wanted, device)
    for number, tensor in enumerate(made.values()):
        tensor.fill_(number)
    assert all((tensor == n).all() for n, tensor in enumerate(made.values()))
    assert {name: (tuple(t.shape), t.dtype) for name, t in made.items()} == wanted
    size = sum(tensor.nbytes for tensor in made.values())
    assert process.memory_info().rss - before > 0.9 * size
    del made, tensor
    assert process.memory_info().rss - before < 0.1 * size


def test_a_file_that_is_replaced_under_the_model_in_force_does_not_take_its_weights(
    tmp_path: Path, apple: TinyComponents, pear: TinyComponents
) -> None:
    manager = manager_with(tmp_path, limit=1)
    path = tiny(tmp_path, name="mine", components=apple, layout="single")
    model = manager.load(path)
    before = answers(model)
    state = {k: v.clone() for k, v in load_file(str(path)).items()}
    state["model.diffusion_model.out.2.bias"][:] = torch.inf
    save_file(state, str(tmp_path / "new"))
    os.replace(tmp_path / "new", path)
    with pytest.raises(ModelLoadError, match="infinite"):
        manager.load(path)
    assert manager.current is model
    model.conditioner.forget()
    assert same(before, answers(model)), "what could not have been read back was not overwritten"


def adapt(model: LoadedModel, folder: Path) -> None:
    """Merge a LoRA into one layer of the UNet."""
    layer = model.networks["unet"].get_submodule(
        "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
    )
    wide, narrow = layer.weight.shape[1], layer.weight.shape[0]
    name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    file = folder / "lora.safetensors"
    tensors = {"down": torch.ones(2, wide), "up": torch.ones(narrow, 2)}
    save_file({f"{name}.lora_{key}.weight": one for key, one in tensors.items()}, str(file))
    adapter = fit(read_adapter(file), LayerNames(model.networks), model.networks, "lora")
    model.adapters.apply([Use(adapter, Strength())])


def test_adapters_stay_on_a_model_that_waits_and_leave_weights_that_others_get(
    tmp_path: Path, shelf: dict[str, Path], apple: TinyComponents
) -> None:
    vae = tmp_path / "v.safetensors"
    save_file({k: v.half().contiguous() for k, v in original_vae(apple).items()}, str(vae))
    manager = manager_with(tmp_path, limit=2)
    model = manager.load(shelf["a"], vae)
    plain = answers(model)
    adapt(model, tmp_path)
    adapted = answers(model)
    assert not same(plain, adapted)
    manager.load(shelf["b"], vae)
    assert manager.load(shelf["a"], vae) is model
    assert same(adapted, answers(model)), "a VAE in common changes nothing"
    own = manager.load(shelf["a"])
    assert own.networks["unet"] is model.networks["unet"]
    assert torch.equal(answers(own)[1], plain[1]), "the checkpoint's own weights"
    adapt(own, tmp_path)
    for name in "bc":
        manager.load(shelf[name])
    fresh = manager_with(tmp_path).load(shelf["c"])
    assert same(answers(manager.current), answers(fresh)), "no adapter goes into other weights"


def test_what_adapters_keep_counts_in_the_budget_and_goes_before_a_model_does(
    tmp_path: Path, shelf: dict[str, Path]
) -> None:
    manager = manager_with(tmp_path, limit=0, budget=1 << 40)
    first = manager.load(shelf["a"])
    plain, one_model = answers(first), manager.bytes
    adapt(first, tmp_path)
    beside = first.adapters.bytes
    assert 0 < beside < one_model
    assert manager.inventory()[0][1] == one_model + beside
    manager.rules = ResidencyRules(limit=0, budget=2 * one_model + beside // 2)
    manager.load(shelf["b"])
    assert first.adapters.bytes == 0
    assert names(manager) == ["a", "b"], "without its adapters it may stay"
    assert manager.load(shelf["a"]) is first
    assert same(answers(first), plain)


@pytest.mark.parametrize("room", ["for both without adapters", "for one"])
def test_adapters_of_the_model_in_force_make_others_give_way(
    tmp_path: Path, shelf: dict[str, Path], room: str
) -> None:
    manager = manager_with(tmp_path, limit=0, budget=1 << 40)
    waiting = manager.load(shelf["a"])
    one_model, plain = manager.bytes, answers(waiting)
    adapt(waiting, tmp_path)
    current = manager.load(shelf["b"])
    adapt(current, tmp_path)
    adapted, beside = answers(current), current.adapters.bytes
    manager.keep_to_budget()
    assert waiting.adapters.bytes == beside, "there is room for all"
    extra = beside if room != "for one" else beside - 1
    manager.rules = ResidencyRules(limit=0, budget=2 * one_model + extra)
    manager.keep_to_budget()
    if room == "for one":
        assert names(manager) == ["b"]
    else:
        assert waiting.adapters.bytes == 0
        assert same(answers(waiting), plain)
    assert same(answers(current), adapted)


def test_a_job_that_needs_the_memory_gets_that_of_the_models_that_wait(
    tmp_path: Path, shelf: dict[str, Path]
) -> None:
    manager = manager_with(tmp_path, limit=0)
    waiting, current = manager.load(shelf["a"]), manager.load(shelf["b"])
    before, whole = answers(current), manager.bytes
    with torch.inference_mode():
        manager.make_room()
    assert manager.residents == [current] and manager.bytes == whole // 2
    assert next(waiting.networks["unet"].parameters()).is_meta
    current.conditioner.forget()
    assert same(before, answers(current))
    assert manager.load(shelf["a"]) is not waiting


def test_networks_that_fail_when_they_are_first_asked_give_way_to_the_former_model(
    tmp_path: Path, shelf: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = manager_with(tmp_path, limit=2)
    before = answers(manager.load(shelf["a"]))

    def fail(model: LoadedModel) -> None:
        if model.name == "b":
            raise RuntimeError("mat1 and mat2 cannot be multiplied")

    monkeypatch.setattr(LoadedModel, "settle", fail)
    with pytest.raises(ModelLoadError, match=r"b\.safetensors: cannot be loaded"):
        manager.load(shelf["b"])
    assert names(manager) == ["a"]
    assert same(before, answers(manager.current))
