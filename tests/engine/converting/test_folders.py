"""Single files and diffusers folders turn into each other, for each family of UNets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from modules.engine.checkpoints.components import build_empty
from modules.engine.checkpoints.planning import plan_model
from tests.engine.merging.conftest import REPOSITORY, Workshop
from tests.support import tiny_families
from tests.support.tiny_models import tiny_components, tiny_sd

Write = Callable[[Path, str], Path]


def sd1(folder: Path, layout: Any) -> Path:
    return tiny_sd(folder, layout=layout, components=APPLE, dtype="float32")


APPLE = tiny_components(1)


def family(made: tiny_families.TinyFamily) -> Write:
    def write(folder: Path, layout: Any) -> Path:
        return tiny_families.write(folder, made, layout, metadata=EPSILON)

    return write


EPSILON = {"modelspec.prediction_type": "epsilon"}
FAMILIES: dict[str, Write] = {
    "sd1": sd1,
    "sd2": family(tiny_families.sd2_family()),
    "sdxl": family(tiny_families.sdxl_family()),
    "pruned sdxl": family(tiny_families.pruned_sdxl_family()),
    "refiner": family(tiny_families.refiner_family()),
}
UNUSED = ("logit_scale", "position_ids")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_folder_becomes_the_file_that_the_original_code_would_have_written(
    workshop: Workshop, name: str
) -> None:
    folder = FAMILIES[name](workshop.folder / "folders", "folder")
    wanted = load_file(FAMILIES[name](workshop.folder / "files", "single"))
    workshop.convert(folder)
    found = workshop.weights()
    last = 1 + max(int(k.split(".")[4]) for k in wanted if "resblocks" in k) if name == "sd2" else 0
    for key, value in wanted.items():
        unread = key.endswith(UNUSED) or (name == "sd2" and key.endswith("text_projection"))
        if unread or (last and f"resblocks.{last - 1}." in key):
            continue
        assert torch.equal(found.pop(key), value), key
    rest = [key for key in found if "resblocks" not in key]
    assert rest == [] and all(not value.any() for value in found.values())


@pytest.mark.parametrize("name", FAMILIES)
def test_a_file_becomes_the_folder_that_diffusers_would_have_written(
    workshop: Workshop, name: str
) -> None:
    file = FAMILIES[name](workshop.folder / "files", "single")
    wanted = FAMILIES[name](workshop.folder / "folders", "folder")
    workshop.convert(file, to="diffusers")
    result = workshop.folder / "result"
    for weights in wanted.glob("*/*.safetensors"):
        theirs, ours = load_file(weights), load_file(result / weights.relative_to(wanted))
        prefix = "text_model." if weights.name == "model.safetensors" else ""
        ours = {key.removeprefix(prefix): value for key, value in ours.items()}
        theirs = {key.removeprefix(prefix): value for key, value in theirs.items()}
        theirs.pop("embeddings.position_ids", None)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], value) for key, value in theirs.items()), weights
    for part in plan_model(result, None, REPOSITORY / "configs").components.values():
        build_empty(part)
    index = json.loads((result / "model_index.json").read_text())
    theirs = json.loads((wanted / "model_index.json").read_text())
    named = {key for key, value in theirs.items() if isinstance(value, list) and value[0]}
    assert named <= index.keys()
    assert not workshop.leftovers()


def test_there_and_back_again_is_the_same_file(workshop: Workshop) -> None:
    file = sd1(workshop.folder / "files", "single")
    workshop.convert(file, to="diffusers")
    folder = workshop.folder / "result"
    workshop.convert(folder.rename(workshop.folder / "between"))
    there, back = load_file(file), workshop.weights()
    there = {key: value for key, value in there.items() if not key.endswith(UNUSED)}
    assert there.keys() == back.keys()
    assert all(torch.equal(back[key], value) for key, value in there.items())


def test_half_precision_folders(workshop: Workshop) -> None:
    workshop.convert(sd1(workshop.folder / "files", "single"), to="diffusers", dtype="fp16")
    unet = load_file(workshop.folder / "result/unet/diffusion_pytorch_model.safetensors")
    assert {value.dtype for value in unet.values()} == {torch.float16}


def test_an_interrupted_folder_is_not_there(workshop: Workshop) -> None:
    file = sd1(workshop.folder / "files", "single")
    workshop.control.signal("interrupt")
    assert workshop.convert(file, to="diffusers").interrupted
    assert not (workshop.folder / "result").exists() and not workshop.leftovers()


def test_diffusers_itself_opens_the_folder(workshop: Workshop) -> None:
    from diffusers import StableDiffusionPipeline

    workshop.convert(sd1(workshop.folder / "files", "single"), to="diffusers")
    pipe = StableDiffusionPipeline.from_pretrained(
        workshop.folder / "result", local_files_only=True
    )
    theirs, ours = pipe.unet.state_dict(), APPLE.unet.state_dict()
    assert all(torch.equal(theirs[key], value) for key, value in ours.items())
    theirs, ours = pipe.text_encoder.state_dict(), APPLE.text_encoder.state_dict()
    assert all(torch.equal(theirs[key], value) for key, value in ours.items())
