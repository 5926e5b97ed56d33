"""The modes with a device that is not the processor: torch's "meta" device, which refuses to
compute with what lies elsewhere, stands for a graphics card."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from modules.engine.checkpoints.components import ComponentPlan
from modules.engine.device import DevicePolicy
from modules.engine.memory import MemorySettings, Stage, WeightForm, lodge
from modules.engine.memory.forms import Way
from tests.support.tiny_models import tiny_components

CPU, CARD, CUDA = torch.device("cpu"), torch.device("meta"), torch.device("cuda")
HALF, FULL = torch.float16, torch.float32
EMPTY = ComponentPlan("unet", {}, {}, Path("model.safetensors"), "UNet")


@pytest.fixture(scope="module")
def unet() -> torch.nn.Module:
    return tiny_components(seed=3).unet


def _call(network: torch.nn.Module, device: torch.device) -> torch.Tensor:
    x, text = torch.empty(2, 4, 8, 8, device=device), torch.empty(2, 77, 64, device=device)
    with torch.inference_mode():
        return network(x, torch.full((2,), 500.0, device=device), text, return_dict=False)[0]


@pytest.mark.parametrize("way", ["network", "layer"])
@pytest.mark.parametrize("inputs", [CPU, CARD], ids=["from main memory", "from the card"])
def test_everything_a_call_needs_is_on_the_card_and_goes_home(
    unet: torch.nn.Module, way: Way, inputs: torch.device
) -> None:
    network, stage = copy.deepcopy(unet), Stage()
    lodge(network, WeightForm(CARD, FULL, CPU, FULL, way=way), stage)
    seen: set[str] = set()
    for module in network.modules():
        if list(module.parameters(recurse=False)):
            module.register_forward_pre_hook(
                lambda module, args: seen.update(w.device.type for w in module.parameters())
            )
    assert _call(network, inputs).device == CARD
    assert seen == {"meta"}
    whole = sum(weight.nbytes for weight in network.state_dict().values())
    assert stage.most == whole if way == "network" else stage.most < whole / 10
    stage.clear()
    assert stage.resident == 0
    assert {weight.device.type for weight in network.state_dict().values()} == {"cpu"}
    now = network.state_dict()
    assert all(torch.equal(now[name], weight) for name, weight in unet.state_dict().items())


@pytest.mark.parametrize("way", ["network", "layer"])
def test_the_next_network_takes_the_place_of_the_one_before(
    unet: torch.nn.Module, way: Way
) -> None:
    one, other, stage = copy.deepcopy(unet), copy.deepcopy(unet), Stage()
    for network, its in ((one, way), (other, "network")):
        lodge(network, WeightForm(CARD, FULL, CPU, FULL, way=its), stage)
    _call(other, CARD)
    _call(one, CARD)
    assert {weight.device.type for weight in other.parameters()} == {"cpu"}
    _call(other, CARD)
    assert {weight.device.type for weight in one.parameters()} == {"cpu"}
    assert stage.resident == stage.most == sum(w.nbytes for w in unet.state_dict().values())


@pytest.mark.parametrize(
    ("flag", "ways"),
    [
        ("medvram", {"unet": "network", "text_encoder": "network", "vae": "network"}),
        ("lowvram", {"unet": "layer", "text_encoder": "layer", "vae": "network"}),
        ("", {"unet": "stay", "text_encoder": "stay", "vae": "stay"}),
    ],
)
def test_flags_choose_what_comes_to_a_card_and_when(flag: str, ways: dict[str, Way]) -> None:
    """`--medvram` is diffusers' model offload, `--lowvram` its sequential offload."""
    policy = DevicePolicy(CUDA, HALF, HALF, HALF)
    settings = MemorySettings(**({flag: True} if flag else {}))
    for name, way in ways.items():
        form = settings.form(policy, "sd1", name, EMPTY)
        assert (form.way, form.device, form.dtype, form.rest) == (way, CUDA, HALF, HALF)
        assert form.home == (CUDA if way == "stay" else CPU)
