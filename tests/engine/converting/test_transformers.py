"""SD3 and FLUX.1: single files and diffusers folders turn into each other without losing a bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.engine.families_dit.conftest import Build, build, made, studio
from tests.engine.families_dit.quantised import write_gguf
from tests.engine.generation.conftest import Studio, difference
from tests.engine.merging.conftest import Workshop
from tests.support.tiny_dit import (
    TinyDit,
    flux,
    original_transformer,
    sd3,
    text_state,
    write_single,
)

__all__ = ["build", "studio"]

KINDS: dict[str, Callable[[], TinyDit]] = {
    "sd3": sd3,
    "sd3.5 medium": lambda: sd3("3.5 medium"),
    "sd3 without t5": lambda: sd3(t5=False),
    "flux dev": flux,
    "flux schnell": lambda: flux("schnell"),
}


def cast(file: Path, dtype: torch.dtype) -> Path:
    """The file in another number format."""
    save_file({name: value.to(dtype) for name, value in load_file(file).items()}, str(file))
    return file


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("sd3.5 medium", torch.float32),
        ("flux dev", torch.float16),
        *(
            pytest.param(kind, dtype, marks=pytest.mark.full)
            for kind in KINDS
            for dtype in (torch.float32, torch.float16, torch.bfloat16)
        ),
    ],
)
def test_there_and_back_again_is_the_same_file(
    workshop: Workshop, build: Build, kind: str, dtype: torch.dtype
) -> None:
    file = cast(
        write_single(workshop.folder / "files" / "one.safetensors", build(KINDS[kind]())), dtype
    )
    workshop.convert(file, to="diffusers")
    folder = (workshop.folder / "result").rename(workshop.folder / "between")
    workshop.convert(folder)
    there, back = load_file(file), workshop.weights()
    there = {
        name: value for name, value in there.items() if not name.endswith("embed_tokens.weight")
    }
    assert there.keys() == back.keys()
    assert all(torch.equal(back[name], value) for name, value in there.items())
    assert {value.dtype for value in back.values()} == {dtype}
    assert not workshop.leftovers()


@pytest.mark.parametrize(
    "kind",
    [
        "flux dev",
        *(pytest.param(one, marks=pytest.mark.full) for one in KINDS if one != "flux dev"),
    ],
)
def test_diffusers_itself_opens_the_folder_and_finds_its_own_weights(
    workshop: Workshop, build: Build, kind: str
) -> None:
    model = build(KINDS[kind]())
    workshop.convert(write_single(workshop.folder / "one.safetensors", model), to="diffusers")
    result = workshop.folder / "result"
    # diffusers wants to be told that T5 is left out on purpose, for its own folders too.
    without = {} if model.parts["t5"] else {"text_encoder_3": None, "tokenizer_3": None}
    pipe = type(model.pipe).from_pretrained(result, local_files_only=True, **without)
    for name, part in model.pipe.components.items():
        if not isinstance(part, torch.nn.Module):
            continue
        theirs, ours = pipe.components[name].state_dict(), part.state_dict()
        assert theirs.keys() == ours.keys()
        assert all(torch.equal(theirs[key], value) for key, value in ours.items()), name
    assert pipe.scheduler.config.shift == 3.0 or "flux" in kind
    index = json.loads((result / "model_index.json").read_text())
    told = json.loads((model.folder / "model_index.json").read_text())
    for one in (told, index):  # the tokenizers' classes are called otherwise by now
        for key in [key for key in one if key.startswith(("tokenizer", "_diffusers_version"))]:
            del one[key]
    assert told == index


@pytest.mark.parametrize(
    ("kind", "cfg"),
    [("sd3.5 medium", 4.0), pytest.param("flux dev", 1.0, marks=pytest.mark.full)],
)
def test_both_forms_draw_the_picture_of_the_other(
    workshop: Workshop, studio: Studio, build: Build, kind: str, cfg: float
) -> None:
    model = build(KINDS[kind]())
    wanted = made(studio, model.folder, cfg_scale=cfg)
    workshop.convert(write_single(workshop.folder / "one.safetensors", model), to="diffusers")
    assert difference(made(studio, workshop.folder / "result", cfg_scale=cfg), wanted) == 0
    workshop.convert(model.folder)
    assert difference(made(studio, workshop.result, cfg_scale=cfg), wanted) == 0


def test_a_folder_with_times_of_its_own_leaves_a_note_beside_the_file(
    workshop: Workshop, build: Build
) -> None:
    import shutil

    folder = workshop.folder / "folder"
    shutil.copytree(build(sd3("3.5 medium")).folder, folder)
    settings = folder / "scheduler" / "scheduler_config.json"
    told = json.loads(settings.read_text())
    settings.write_text(json.dumps({**told, "shift": 5.0}))
    workshop.convert(folder)
    note = workshop.result.with_suffix(".easel.json")
    assert json.loads(note.read_text()) == {"scheduler": {"shift": 5.0}}
    note.unlink()
    settings.write_text(json.dumps(told))
    workshop.convert(folder, overwrite=True)
    assert not note.exists()


def test_quantised_weights_unfold_to_16_bits(workshop: Workshop, build: Build) -> None:
    model = build(flux())
    quantised = workshop.folder / "tiny.gguf"
    stands = write_gguf(quantised, original_transformer(model), "Q5_0")
    workshop.convert(quantised)
    for name, found in workshop.weights().items():
        wanted = stands[name]
        assert torch.equal(found, wanted.to(found.dtype)), name
    assert torch.float16 in {value.dtype for value in workshop.weights().values()}


def test_eight_bits_with_a_factor_unfold_in_a_folder(workshop: Workshop, build: Build) -> None:
    model = build(sd3("3.5 medium"))
    state: dict[str, Any] = load_file(write_single(workshop.folder / "one.safetensors", model))
    name = "text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q"
    scale = state[f"{name}.weight"].abs().max() / 448
    eighth = (state[f"{name}.weight"] / scale).to(torch.float8_e4m3fn)
    state |= {f"{name}.weight": eighth, f"{name}.scale_weight": scale.float()}
    file = workshop.folder / "scaled.safetensors"
    save_file(state, str(file))
    workshop.convert(file, to="diffusers")
    found = load_file(workshop.folder / "result" / "text_encoder_3" / "model.safetensors")
    key = "encoder.block.0.layer.0.SelfAttention.q.weight"
    assert torch.equal(found[key], (eighth.float() * scale).half())
    assert text_state(model.parts["t5"]).keys() - found.keys() <= {"encoder.embed_tokens.weight"}
