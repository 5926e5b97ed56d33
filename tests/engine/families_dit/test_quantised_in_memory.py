"""Quantised weights stay as small in memory as on disk; modes and adapters work on them too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from modules.catalog.gguf import BLOCKS
from modules.engine.device import DevicePolicy
from modules.engine.memory import MemorySettings, Stage, WeightForm, lodge, unfolded
from modules.engine.memory.lodging import lodging_of
from modules.engine.memory.packed import Product
from modules.engine.runner import Engine
from tests.engine.families_dit.conftest import Build, made
from tests.engine.families_dit.quantised import quantised_and_plain
from tests.engine.generation.conftest import Studio, difference
from tests.support.tiny_dit import flux

CPU = torch.device("cpu")
Files = tuple[Path, Path]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, build: Build) -> Files:
    """A quantised file and a plain one of the same numbers."""
    return quantised_and_plain(tmp_path_factory.mktemp("quantised"), build(flux("schnell")), "Q4_0")


@pytest.fixture(scope="module")
def wanted(studio: Studio, files: Files) -> np.ndarray:
    return made(studio, files[1], cfg_scale=1.0)


def transformer(studio: Studio) -> torch.nn.Module:
    return studio.engine.models.current.networks["unet"]


def size(network: torch.nn.Module) -> int:
    return sum(weight.nbytes for weight in network.state_dict().values())


def test_a_quantised_network_takes_the_memory_of_its_file(
    studio: Studio, files: Files, wanted: np.ndarray
) -> None:
    plain = size(transformer(studio))
    assert difference(made(studio, files[0], cfg_scale=1.0), wanted) <= 1
    network = transformer(studio)
    assert size(network) < 0.25 * plain  # 4.5 of 32 bits, but for biases and narrow matrices
    assert network.dtype == torch.float32
    stage, largest = lodging_of(network).stage, max(w.numel() for w in network.parameters())
    stage.most = 0
    made(studio, files[0], cfg_scale=1.0)
    assert stage.resident == 0
    assert stage.most <= 2 * 4 * largest  # one layer at a time; bytes of blocks are counted above


@pytest.mark.parametrize("flag", ["medvram", "lowvram"])
def test_modes_give_the_same_picture(
    tmp_path: Path, files: Files, wanted: np.ndarray, flag: str
) -> None:
    studio = Studio(tmp_path, files[0])
    told = {"no_hashing": True, "no_half": True, flag: True}
    studio.engine = Engine(studio.paths, told, lambda event: studio._listen(event))
    assert difference(made(studio, files[0], cfg_scale=1.0), wanted) <= 1


# -- adapters -------------------------------------------------------------------------------------

QKV = "lora_unet_double_blocks_0_img_attn_qkv"
SINGLE = "lora_unet_single_blocks_1_linear1"


@pytest.fixture(scope="module")
def loras(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A LoRA of joined layers with an odd factor, a DoRA and a full change of one of them."""
    folder = tmp_path_factory.mktemp("loras")
    generator = torch.Generator().manual_seed(4)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    def thin(name: str, rows: int) -> dict[str, torch.Tensor]:
        return {
            f"{name}.lora_up.weight": random(rows, 4),
            f"{name}.lora_down.weight": random(4, 64),
            f"{name}.alpha": torch.tensor(3.0),
        }

    made_of = {
        "thin": {**thin(QKV, 192), **thin(SINGLE, 448)},
        "dora": {**thin(QKV, 192), f"{QKV}.dora_scale": random(1, 64).abs() + 1},
        "full": {f"{QKV}.diff": random(192, 64)},
    }
    for name, tensors in made_of.items():
        save_file(tensors, str(folder / f"{name}.safetensors"))
    return {"loras": {name: {"path": str(folder / f"{name}.safetensors")} for name in made_of}}


@pytest.fixture
def with_prompt(studio: Studio, loras: dict[str, Any]) -> Callable[[Path, str], np.ndarray]:
    return lambda file, prompt: made(
        studio, file, prompt=f"a red apple{prompt}", cfg_scale=1.0, resources=loras
    )


@pytest.mark.parametrize("kind", ["thin", "dora", "full"])
def test_an_adapter_acts_as_on_the_whole_weights(
    studio: Studio, files: Files, with_prompt: Callable[[Path, str], np.ndarray], kind: str
) -> None:
    quantised, plain = files
    expected = with_prompt(plain, f"<lora:{kind}:0.7>")
    before = with_prompt(quantised, "")
    bytes_before = size(transformer(studio))
    state = {name: one.clone() for name, one in transformer(studio).state_dict().items()}
    got = with_prompt(quantised, f"<lora:{kind}:0.7>")
    assert difference(got, expected) <= 1
    assert difference(got, before) > 2
    assert (size(transformer(studio)) == bytes_before) == (kind == "thin")
    assert difference(with_prompt(quantised, f"<lora:{kind}:0.7>"), got) == 0
    assert difference(with_prompt(quantised, ""), before) == 0
    now = transformer(studio).state_dict()
    assert all(torch.equal(now[name], one) for name, one in state.items())


def test_adapters_of_several_kinds_follow_each_other(
    files: Files, with_prompt: Callable[[Path, str], np.ndarray]
) -> None:
    quantised, plain = files
    for prompt in ("<lora:full:0.2><lora:thin:0.5>", "<lora:thin:0.5>", "<lora:thin:0@0,0.6@1>"):
        assert difference(with_prompt(quantised, prompt), with_prompt(plain, prompt)) <= 1


# -- the parts ------------------------------------------------------------------------------------


def test_unfolding_piece_by_piece_gives_the_numbers_of_the_whole() -> None:
    from modules.engine.checkpoints.blocks import decoder

    form = BLOCKS["Q8_0"]
    generator = torch.Generator().manual_seed(1)
    rows, columns = 96, 20_480  # more than is unfolded at a time
    raw = torch.randint(0, 64, (rows, columns // form.numbers * form.size), generator=generator)
    raw = raw.to(torch.uint8)
    whole = decoder("Q8_0", Path("a.gguf"))(raw.reshape(-1)).reshape(rows, columns)
    assert torch.equal(unfolded(raw, "Q8_0", CPU, torch.float32), whole)
    wide, thin = torch.randn(10, 3), torch.randn(3, columns)
    added = unfolded(raw, "Q8_0", CPU, torch.float32, [Product(5, wide, thin, 0.5)])
    whole[5:15] += 0.5 * wide @ thin
    torch.testing.assert_close(added, whole)


def test_a_form_names_its_blocks_and_leaves_fp8_out(files: Files) -> None:
    from modules.engine.checkpoints.planning import plan_model
    from tests.support.tiny_models import REPOSITORY

    plan = plan_model(files[0], None, REPOSITORY / "configs")
    policy = DevicePolicy(CPU, torch.float32, torch.float32, torch.float32)
    settings = MemorySettings(fp8_storage="Enable")
    forms = {name: settings.form(policy, "flux", name, p) for name, p in plan.components.items()}
    assert forms["unet"].moves and not forms["unet"].fp8 and forms["text_encoder_2"].fp8
    assert dict(forms["unet"].blocks)["transformer_blocks.0.attn.to_q.weight"] == "Q4_0"
    assert not forms["vae"].blocks and not forms["text_encoder"].blocks


def test_a_weight_goes_home_in_the_form_that_somebody_gave_it() -> None:
    network, stage = torch.nn.Sequential(torch.nn.Linear(32, 2)), Stage()
    folded = torch.zeros(2, 34, dtype=torch.uint8)
    network[0].weight = torch.nn.Parameter(folded, requires_grad=False)
    form = WeightForm(
        CPU, torch.float32, CPU, torch.float32, way="network", blocks=(("0.weight", "Q8_0"),)
    )
    lodge(network, form, stage)
    x = torch.ones(1, 32)
    with torch.inference_mode():
        assert torch.equal(network(x), network[0].bias[None])
        network[0].weight = torch.nn.Parameter(torch.ones(2, 32), requires_grad=False)
        stage.clear()
        assert torch.equal(network(x), network[0].bias[None] + 32)
        network[0].weight = torch.nn.Parameter(folded.clone(), requires_grad=False)
        stage.clear()
        assert torch.equal(network(x), network[0].bias[None])
