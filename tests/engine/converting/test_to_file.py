"""Models become single files: from torch's formats, pruned, with averages, in other formats."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from modules.requests.errors import RequestError
from tests.engine.merging.conftest import UNET, State, Workshop

Make = Callable[..., State]


def averaged(made: State, factor: float = 2.0) -> State:
    """The moving average of a UNet, as the training code writes it."""
    return {
        "model_ema.diffusion_model" + name[len(UNET) :].replace(".", ""): factor * value
        for name, value in made.items()
        if name.startswith(UNET)
    }


@pytest.mark.parametrize("new_format", [True, False])
def test_a_ckpt_becomes_safetensors_with_the_same_weights(
    workshop: Workshop, make_state: Make, new_format: bool
) -> None:
    made = make_state(1)
    path = workshop.folder / "old.ckpt"
    content = {"state_dict": made, "optimizer_states": [{"m": torch.ones(5)}], "epoch": 1}
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    done = workshop.convert(path, prune=False)
    assert done.facts["weights"] == len(made)
    found = workshop.weights()
    assert found.keys() == made.keys()
    assert all(torch.equal(found[name], value) for name, value in made.items())


def test_pruning_leaves_what_makes_pictures(workshop: Workshop, make_state: Make) -> None:
    made = make_state(1)
    loss = {"first_stage_model.loss.logvar": torch.ones(1), "model_ema.decay": torch.ones(1)}
    path = workshop.save("full", {**made, **averaged(made), **loss})
    done = workshop.convert(path)
    found = workshop.weights()
    assert set(found) == set(made) - {"betas"}
    assert done.facts["dropped"] == len(averaged(made)) + 3


def test_the_moving_average_can_take_the_place_of_the_unet(
    workshop: Workshop, make_state: Make
) -> None:
    made = make_state(1)
    path = workshop.save("full", {**made, **averaged(made, 3.0)})
    workshop.convert(path, ema="use")
    found = workshop.weights()
    name = f"{UNET}output_blocks.11.0.out_layers.3.bias"
    assert torch.equal(found[name], 3.0 * made[name])
    assert not any(key.startswith("model_ema") for key in found)
    workshop.convert(path, ema="keep", overwrite=True)
    assert any(key.startswith("model_ema") for key in workshop.weights())


def test_a_file_without_an_average_says_so(workshop: Workshop, make_state: Make) -> None:
    with pytest.raises(RequestError, match=r"full\.safetensors has no moving average"):
        workshop.convert(workshop.save("full", make_state()), ema="use")


def test_an_average_alone_becomes_the_unet(workshop: Workshop, make_state: Make) -> None:
    made = make_state(1)
    kept = {name: value for name, value in made.items() if not name.startswith(UNET)}
    workshop.convert(workshop.save("ema", {**kept, **averaged(made, 1.0)}))
    found = workshop.weights()
    assert all(torch.equal(found[name], made[name]) for name in made if name.startswith(UNET))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("fp16", torch.float16), ("bf16", torch.bfloat16), ("fp32", torch.float32)],
)
def test_number_formats(
    workshop: Workshop, make_state: Make, name: str, dtype: torch.dtype
) -> None:
    made = make_state(1)
    workshop.convert(workshop.save("full", made), dtype=name, prune=False)
    for key, found in workshop.weights().items():
        wanted = made[key].to(dtype) if made[key].is_floating_point() else made[key]
        assert torch.equal(found, wanted), key


def test_metadata_goes_with_the_weights(workshop: Workshop, make_state: Make) -> None:
    workshop.convert(workshop.save("full", make_state(), author="me"))
    assert workshop.metadata()["author"] == "me"


def test_an_interrupted_conversion_leaves_nothing(workshop: Workshop, make_state: Make) -> None:
    workshop.control.signal("interrupt")
    assert workshop.convert(workshop.save("full", make_state())).interrupted
    assert not workshop.result.exists() and not workshop.leftovers()
