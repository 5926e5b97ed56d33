"""Memory modes change where weights rest, not the pictures."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from modules.engine.device import DevicePolicy
from modules.engine.memory import (
    MemorySettings,
    Stage,
    WeightForm,
    exact_weight,
    form_of,
    lodge,
    upcast,
    wake,
)
from modules.engine.memory.forms import DISK, FP8
from modules.engine.memory.lodging import lodging_of, resting
from tests.engine.adapters.conftest import LINEAR, TEXT
from tests.engine.adapters.test_pictures import lora
from tests.engine.generation.conftest import Studio, difference
from tests.engine.memory.conftest import MakeStudio
from tests.support.tiny_models import tiny_components, tiny_sd

CPU = torch.device("cpu")
FULL = torch.float32
JOB = {"batch_size": 2, "steps": 3}


@pytest.fixture(scope="module")
def unet() -> torch.nn.Module:
    return tiny_components(seed=3).unet


def _call(network: torch.nn.Module, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 4, 8, 8, generator=generator)
    text = torch.randn(2, 77, 64, generator=generator)
    with torch.inference_mode():
        return network(x, torch.full((2,), 500.0), text, return_dict=False)[0]


def _bytes(network: torch.nn.Module) -> int:
    return sum(w.nbytes for w in network.state_dict().values())


def _here(way: str) -> WeightForm:
    """A form with the processor at both ends; copies are made all the same, and counted."""
    return WeightForm(CPU, FULL, CPU, FULL, way=way)


# -- whole engines --------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["medvram", "lowvram"])
def test_a_mode_gives_the_very_same_pictures(
    plain: Studio, make_studio: MakeStudio, flag: str
) -> None:
    expected = plain.make(**JOB)
    studio = make_studio(**{flag: True})
    for _ in range(2):  # the second job finds the networks where the first has left them
        result = studio.make(**JOB)
        assert result.done
        assert not result.warnings
        for got, wanted in zip(result.pictures, expected.pictures, strict=True):
            assert np.array_equal(got, wanted)
    assert result.extra == expected.extra


@pytest.mark.parametrize(("flag", "most"), [("medvram", 0), ("lowvram", 2)])
def test_adapters_act_in_every_mode_and_leave_without_a_trace(
    plain: Studio, make_studio: MakeStudio, tmp_path: Path, flag: str, most: int
) -> None:
    loras = {
        "look": lora(tmp_path, "look", (LINEAR, 32, 64)),
        "word": lora(tmp_path, "word", (TEXT, 64, 64), seed=1),
    }
    job = {"prompt": "a red apple<lora:look:0.3><lora:word:0.3>", "resources": {"loras": loras}}
    expected, without = plain.make(**job), plain.picture()
    studio = make_studio(**{flag: True})
    for _ in range(2):
        got = studio.make(**job)
        assert got.done
        # On a processor, changed weights that rest in 16 bits are rounded to them.
        assert difference(got.pictures[0], expected.pictures[0]) <= most
        assert np.array_equal(studio.picture(), without)
    assert difference(got.pictures[0], without) > 2 * most


def test_without_a_device_a_network_that_waits_is_on_disk_and_takes_no_memory(
    make_studio: MakeStudio,
) -> None:
    studio = make_studio(medvram=True)
    studio.picture()
    networks = studio.engine.models.current.networks
    places = {name: next(n.parameters()).device.type for name, n in networks.items()}
    assert places == {"unet": "meta", "text_encoder": "meta", "vae": "cpu"}
    stage = lodging_of(networks["vae"]).stage
    assert stage.resident == _bytes(networks["vae"])


def test_without_a_device_layers_rest_in_the_bits_of_their_file(
    plain: Studio, make_studio: MakeStudio
) -> None:
    studio = make_studio(lowvram=True)
    studio.picture()
    plain.picture()
    mine, usual = (one.engine.models.current.networks["unet"] for one in (studio, plain))
    assert _bytes(mine) < 0.52 * _bytes(usual)
    assert mine.dtype == usual.dtype == FULL
    stage = lodging_of(mine).stage
    assert stage.resident == _bytes(studio.engine.models.current.networks["vae"])


def test_a_file_in_32_bits_loses_nothing_in_lowvram(tmp_path: Path, tiny_file: Path) -> None:
    policy = DevicePolicy(CPU, FULL, FULL, FULL)
    from modules.engine.checkpoints.planning import plan_model
    from tests.support.tiny_models import REPOSITORY

    plan = plan_model(tiny_file, None, REPOSITORY / "configs")
    form = MemorySettings(lowvram=True).form(policy, plan.family, "unet", plan.components["unet"])
    assert form.rest == FULL


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    return tiny_sd(tmp_path, layout="single", dtype="float32", name="full")


def test_a_file_that_is_gone_between_two_turns_is_told_in_a_sentence(
    make_studio: MakeStudio, tmp_path: Path
) -> None:
    studio = make_studio(medvram=True)
    checkpoint = tiny_sd(tmp_path, layout="single", dtype="float16", name="gone")

    def vanish(event: object, control: object) -> None:
        if type(event).__name__ == "Started":
            checkpoint.unlink()

    result = studio.make(checkpoint=checkpoint, listen=vanish)
    assert result.failed.failure == "model"
    assert "gone.safetensors" in result.failed.message
    assert studio.make().done


# -- a network as a whole -------------------------------------------------------------------------


def test_a_network_is_on_the_device_for_its_turn_and_leaves_for_the_next(
    unet: torch.nn.Module,
) -> None:
    one, other, expected = copy.deepcopy(unet), copy.deepcopy(unet), _call(unet)
    homes = {name: weight.data_ptr() for name, weight in one.named_parameters()}
    stage = Stage()
    for network in (one, other):
        lodge(network, _here("network"), stage)
    assert stage.resident == 0
    assert torch.equal(_call(one), expected)
    assert stage.resident == _bytes(unet)
    assert torch.equal(_call(other), expected)
    assert stage.most == _bytes(unet)
    assert {name: weight.data_ptr() for name, weight in one.named_parameters()} == homes


def test_layers_are_on_the_device_one_at_a_time(unet: torch.nn.Module) -> None:
    network, stage = copy.deepcopy(unet), Stage()
    lodge(network, _here("layer"), stage)
    largest = max(
        sum(weight.nbytes for weight in module.parameters(recurse=False))
        for module in network.modules()
    )
    assert torch.equal(_call(network), _call(unet))
    assert stage.most == largest
    assert stage.resident == 0


@pytest.mark.parametrize("way", ["network", "layer"])
def test_weights_go_home_when_a_call_fails(unet: torch.nn.Module, way: str) -> None:
    network, stage = copy.deepcopy(unet), Stage()
    lodge(network, _here(way), stage)

    def full(module: object, inputs: object) -> None:
        raise torch.OutOfMemoryError("full")

    handle = network.mid_block.resnets[0].conv2.register_forward_pre_hook(full)
    with pytest.raises(torch.OutOfMemoryError):
        _call(network)
    handle.remove()
    stage.clear()
    assert stage.resident == 0
    assert torch.equal(_call(network), _call(unet))


@pytest.mark.parametrize("way", ["network", "layer"])
def test_a_change_in_place_is_kept_wherever_the_weights_are(
    unet: torch.nn.Module, way: str
) -> None:
    changed = copy.deepcopy(unet)
    network, stage = copy.deepcopy(unet), Stage()
    lodge(network, _here(way), stage)
    _call(network)
    with torch.no_grad():
        for one in (network, changed):
            one.conv_out.weight.mul_(1.5)
    stage.clear()
    assert torch.equal(_call(network), _call(changed))
    lodging_of(network).close()
    assert torch.equal(network.conv_out.weight, changed.conv_out.weight)
    assert torch.equal(_call(network), _call(changed))


def test_what_rests_on_disk_stays_in_memory_once_it_was_changed(unet: torch.nn.Module) -> None:
    network, stage, reads = copy.deepcopy(unet), Stage(), []
    state = {name: weight.clone() for name, weight in unet.state_dict().items()}

    def refill() -> None:
        reads.append(1)
        for name, weight in network.state_dict().items():
            weight.copy_(state[name])

    lodge(network, WeightForm(CPU, FULL, DISK, FULL, way="network"), stage, refill)
    assert {weight.device.type for weight in network.parameters()} == {"meta"}
    assert torch.equal(_call(network), _call(unet))
    stage.clear()
    assert {weight.device.type for weight in network.parameters()} == {"meta"}
    wake(network)
    with torch.no_grad():
        network.conv_out.weight.mul_(1.5)
    stage.clear()
    assert {weight.device.type for weight in network.parameters()} == {"cpu"}
    assert torch.equal(network.conv_out.weight, 1.5 * unet.conv_out.weight)
    assert len(reads) == 2


# -- eight bits -----------------------------------------------------------------------------------


def _in_eight_bits(network: torch.nn.Module, form: WeightForm) -> Stage:
    stage = Stage()
    for name, kind in resting(network, form).items():
        owner, _, key = name.rpartition(".")
        module = network.get_submodule(owner)
        rounded = module._parameters[key].detach().to(kind)
        module._parameters[key] = torch.nn.Parameter(rounded, requires_grad=False)
    lodge(network, form, stage)
    return stage


@pytest.mark.parametrize("way", ["stay", "network"])
def test_fp8_weights_compute_as_if_they_had_been_rounded(unet: torch.nn.Module, way: str) -> None:
    form = WeightForm(CPU, FULL, CPU, FULL, way=way, fp8=True)
    network, rounded = copy.deepcopy(unet), copy.deepcopy(unet)
    kinds = resting(rounded, form)
    with torch.no_grad():
        for name, weight in rounded.named_parameters():
            weight.copy_(weight.to(kinds[name]).to(FULL))
    _in_eight_bits(network, form)
    assert torch.equal(_call(network), _call(rounded))
    assert not torch.equal(_call(network), _call(unet))
    assert network.dtype == FULL
    matrices = [m.weight for m in network.modules() if isinstance(m, torch.nn.Linear)]
    assert {weight.dtype for weight in matrices} == {FP8}
    assert _bytes(network) < 0.3 * _bytes(unet)


def test_the_setting_fp8_takes_effect_with_the_next_job_and_is_written_down(
    plain: Studio,
) -> None:
    before = plain.make()
    eighth = plain.make(options={"fp8_storage": "Enable"})
    kinds = {w.dtype for w in plain.engine.models.current.networks["unet"].parameters()}
    assert FP8 in kinds
    assert {w.dtype for w in plain.engine.models.current.networks["vae"].parameters()} == {FULL}
    assert eighth.extra["FP8 weight"] == "Enable"
    assert not np.array_equal(eighth.pictures[0], before.pictures[0])
    for_xl = plain.make(options={"fp8_storage": "Enable for SDXL"})
    assert np.array_equal(for_xl.pictures[0], before.pictures[0])
    assert "FP8 weight" not in for_xl.extra


def test_adapters_compute_from_16_bit_weights_where_the_setting_keeps_them(
    plain: Studio, half_checkpoint: Path
) -> None:
    from safetensors import safe_open

    name = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight"
    stored = "model.diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.weight"
    with safe_open(half_checkpoint, "pt") as file:
        own = file.get_tensor(stored)
    plain.make(options={"fp8_storage": "Enable"})
    unet = plain.engine.models.current.networks["unet"]
    assert exact_weight(unet, name) is None
    kept = plain.make(options={"fp8_storage": "Enable", "cache_fp16_weight": True})
    unet = plain.engine.models.current.networks["unet"]
    assert torch.equal(exact_weight(unet, name), own)
    assert torch.equal(unet.get_parameter(name).to(FULL), own.to(FP8).to(FULL))
    assert kept.extra["Cache FP16 weight for LoRA"] is True


def test_numbers_that_eight_bits_do_not_hold_become_the_largest(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from modules.engine.checkpoints.tensor_file import TensorFile

    file = tmp_path / "large.safetensors"
    save_file({"w": torch.tensor([1.0, 1000.0, -1e4, 448.0], dtype=torch.float16)}, str(file))
    weight = torch.empty(4, dtype=FP8)
    with TensorFile.open(file) as opened:
        opened.read_into("w", weight)
    assert weight.to(FULL).tolist() == [1.0, 448.0, -448.0, 448.0]


# -- other number formats -------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["stay", "network", "layer"])
def test_a_network_can_go_over_to_32_bits_in_every_mode(unet: torch.nn.Module, way: str) -> None:
    half = copy.deepcopy(unet).bfloat16()
    network, stage = copy.deepcopy(half), Stage()
    lodge(network, WeightForm(CPU, torch.bfloat16, CPU, torch.bfloat16, way=way), stage)
    assert upcast(network)
    assert not upcast(network)
    assert network.dtype == form_of(network).dtype == FULL
    assert torch.equal(_call(network), _call(half.float()))


def test_flags_and_settings_choose_the_form() -> None:
    flags = MemorySettings.of({"medvram_sdxl": True}, {"fp8_storage": "Enable for SDXL"})
    assert (flags.way("sdxl"), flags.way("sd1")) == ("network", "stay")
    assert (flags.in_fp8("sdxl"), flags.in_fp8("sd1")) == (True, False)
    assert MemorySettings.of({"lowvram": True, "medvram": True}, {}).way("sd1") == "layer"
    assert MemorySettings.of({}, {}).way("sdxl") == "stay"
