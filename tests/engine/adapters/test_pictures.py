"""Extra networks in whole jobs: prompts in, pictures and infotext out."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from safetensors.torch import load_file, save_file
from torch import Tensor

from modules.catalog.network_hashes import hash_network
from modules.engine.generation.control import JobControl
from modules.requests.events import Event, Step, Warning_
from tests.engine.adapters.conftest import LINEAR, LINEAR_PATH, TEXT
from tests.engine.generation.conftest import Result, Studio
from tests.pickles import hostile
from tests.support.tiny_models import tiny_sd

Rand = Callable[..., Tensor]
MIDDLE = "lora_unet_mid_block_attentions_0_proj_out"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(scope="module")
def studio(folder: Path) -> Studio:
    checkpoint = tiny_sd(folder / "models", dtype="float32", seed=5)
    return Studio(folder / "data", checkpoint)


@pytest.fixture(scope="module")
def plain(studio: Studio) -> np.ndarray:
    return studio.picture()


def lora(folder: Path, name: str, *layers: tuple[str, int, int], seed: int = 0) -> dict[str, Any]:
    """A strong LoRA file; the job's entry for it."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer, outputs, inputs in layers:
        tensors[f"{layer}.lora_up.weight"] = torch.randn(outputs, 4, generator=generator)
        tensors[f"{layer}.lora_down.weight"] = torch.randn(4, inputs, generator=generator)
    path = folder / f"{name}.safetensors"
    save_file(tensors, str(path))
    return {"path": str(path)}


@pytest.fixture(scope="module")
def resources(folder: Path) -> dict[str, Any]:
    return {
        "loras": {
            "look": lora(
                folder,
                "look",
                (LINEAR, 32, 64),
                ("lora_unet_mid_block_attentions_0_proj_out", 64, 64),
            ),
            "word": lora(folder, "word", (TEXT, 64, 64), seed=1),
        }
    }


@pytest.fixture
def make(studio: Studio, resources: dict[str, Any]) -> Callable[..., Result]:
    def run(prompt: str = "a red apple", **fields: Any) -> Result:
        given = {**resources, **fields.pop("resources", {})}
        result = studio.make(prompt=prompt, resources=given, **fields)
        assert result.done
        return result

    return run


def unet(studio: Studio) -> torch.nn.Module:
    return studio.engine.models.current.networks["unet"]


def test_a_lora_gives_the_picture_of_a_checkpoint_it_was_merged_into(
    studio: Studio, make: Callable[..., Result], folder: Path, plain: np.ndarray
) -> None:
    picture = make("a red apple<lora:look:0.8>").pictures[0]
    merged = tiny_sd(folder / "merged", dtype="float32", seed=5)
    file = merged / "unet" / "diffusion_pytorch_model.safetensors"
    weights, parts = load_file(file), load_file(folder / "look.safetensors")
    for name, path in (
        (LINEAR, LINEAR_PATH),
        (MIDDLE, "mid_block.attentions.0.proj_out"),
    ):
        product = parts[f"{name}.lora_up.weight"] @ parts[f"{name}.lora_down.weight"]
        weight = weights[f"{path}.weight"]
        weights[f"{path}.weight"] = weight + 0.8 * product.reshape(weight.shape)
    save_file(weights, str(file))
    expected = studio.make(checkpoint=merged).pictures[0]
    assert np.abs(picture.astype(int) - expected).max() <= 1
    assert np.abs(picture.astype(int) - plain).mean() > 1
    assert (studio.picture() == plain).all()


def test_a_lora_of_the_text_encoder_is_not_answered_from_the_cache(
    make: Callable[..., Result], plain: np.ndarray
) -> None:
    with_word = make("a red apple<lora:word:1>").pictures[0]
    assert (with_word != plain).any()
    assert (make("a red apple<lora:word:te=0:unet=1>").pictures[0] == plain).all()
    assert (make("a red apple<lora:word:1>").pictures[0] == with_word).all()
    assert (make().pictures[0] == plain).all()


def test_several_at_once_and_the_order_of_arguments(make: Callable[..., Result]) -> None:
    both = make("a red apple<lora:look:0.5><lora:word:1>").pictures[0]
    assert (both == make("<lora:word>a red apple<lyco:look:te=3:unet=0.5>").pictures[0]).all()
    assert (both != make("a red apple<lora:look:0.5>").pictures[0]).any()
    twice = make("a red apple<lora:look:0.25><lora:look:0.25><lora:word:1>").pictures[0]
    assert np.abs(both.astype(int) - twice).max() <= 1


def test_hashes_and_prompts_stand_in_the_infotext(
    make: Callable[..., Result], folder: Path
) -> None:
    result = make("a red apple<lora:look:0.5><lora:word:1>")
    hashes = {name: hash_network(folder / f"{name}.safetensors")[:12] for name in ("look", "word")}
    assert result.extra["Lora hashes"] == f"look: {hashes['look']}, word: {hashes['word']}"
    assert result.facts["prompt"] == "a red apple<lora:look:0.5><lora:word:1>"
    off = make("a red apple<lora:look>", options={"lora_add_hashes_to_infotext": False})
    assert "Lora hashes" not in off.extra
    assert "Lora hashes" not in make().extra


def test_settings_say_where_else_a_missing_lora_is_told(
    make: Callable[..., Result], caplog: pytest.LogCaptureFixture
) -> None:
    def told(**options: bool) -> tuple[bool, bool]:
        caplog.clear()
        warnings = make("a red apple<lora:gone:1>", options=options).of(Warning_)
        (popup,) = (one.popup for one in warnings if one.message == "Networks not found: gone.")
        return popup, "not found: gone" in caplog.text

    assert told() == (False, False)
    assert told(lora_not_found_gradio_warning=True) == (True, False)
    assert told(lora_not_found_warning_console=True) == (False, True)


def test_what_is_not_there_or_cannot_be_read_is_told_and_left_out(
    make: Callable[..., Result], folder: Path, plain: np.ndarray
) -> None:
    (folder / "broken.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    wide = lora(folder, "wide", (LINEAR, 640, 2048))
    save_file(
        {
            f"{LINEAR}.lora_up.weight": torch.full((32, 4), torch.nan),
            f"{LINEAR}.lora_down.weight": torch.zeros(4, 64),
        },
        str(folder / "nan.safetensors"),
    )
    nan = {"path": str(folder / "nan.safetensors")}
    broken = {"path": str(folder / "broken.safetensors")}
    result = make(
        "a red apple<lora:gone:1><lora:broken:1><lora:wide:1><lora:look:x><hypernet:none:1>"
        "<lora:nan:1>",
        resources={"loras": {"broken": broken, "wide": wide, "look": wide, "nan": nan}},
    )
    assert (result.pictures[0] == plain).all()
    told = "\n".join(result.warnings)
    assert "Networks not found: gone." in told
    assert "Hypernetworks not found: none." in told
    assert "<lora:broken> was left out:" in told
    assert (
        "<lora:wide> does not fit tiny and was left out (it seems to be made for SDXL; "
        f"{LINEAR} is for a weight of [640, 2048], not [32, 64])." in told
    )
    assert "<lora:look> was left out: 'x' is not a number." in told
    assert "<lora:nan> was left out: has numbers that are not finite" in told
    assert len(result.warnings) == 6


def test_a_file_that_wants_to_run_something_is_left_out(
    make: Callable[..., Result], folder: Path, plain: np.ndarray
) -> None:
    mark = folder / "it-ran"
    hostile.write_zip(folder / "evil.pt", hostile.system_call(mark))
    evil = {"path": str(folder / "evil.pt")}
    result = make(
        "a red apple<lora:evil:1><hypernet:evil:1> evil",
        resources={
            "loras": {"evil": evil},
            "hypernetworks": {"evil": evil},
            "embeddings": [{"name": "evil", **evil}],
        },
    )
    assert len(result.warnings) == 3
    assert all("evil" in warning for warning in result.warnings)
    assert not mark.exists()
    assert (make("a red apple").pictures[0] == plain).all()


def test_weights_follow_the_steps(
    studio: Studio, make: Callable[..., Result], plain: np.ndarray
) -> None:
    make()
    layer = unet(studio).get_submodule(LINEAR_PATH)
    bare = layer.weight.clone()
    make("a red apple<lora:look:1>")
    whole = layer.weight - bare
    seen: list[float] = []

    def listen(event: Event, control: JobControl) -> None:
        if isinstance(event, Step):
            change = layer.weight - bare
            seen.append(float((change * whole).sum() / (whole * whole).sum()))

    def strengths(prompt: str) -> list[float]:
        seen.clear()
        make(prompt, listen=listen, steps=5)
        return [round(value, 3) for value in seen]

    assert strengths("a red apple<lora:look:0@0,1@1>") == [0, 0.25, 0.5, 0.75, 1]
    assert strengths("a red apple<lora:look:0@0,1@0.5>") == [0, 0.5, 1, 1, 1]
    assert strengths("a red apple<lora:look:0.4@0,0.4@1>") == [0.4] * 5
    assert strengths("a red apple<lora:look:1:0@2,1@3>") == [0, 0, 0, 1, 1]
    assert strengths("a red apple<lora:look:0.5:start=2>") == [0, 0, 0.5, 0.5, 0.5]
    assert strengths("a red apple<lora:look:1:step=1-3>") == [0, 1, 1, 0, 0]
    assert (studio.picture() == plain).all()


def test_a_weight_that_never_changes_is_one_number(make: Callable[..., Result]) -> None:
    once = make("a red apple<lora:look:0.5>").pictures[0]
    assert (make("a red apple<lora:look:0.5@0,0.5@1>").pictures[0] == once).all()
    late = make("a red apple<lora:look:0.5:start=2>").pictures[0]
    assert (late != once).any()


def test_every_picture_of_a_batch_has_its_own_networks(
    studio: Studio, make: Callable[..., Result]
) -> None:
    prompts = ["a red apple<lora:look:1>", "a red apple", "a red apple<lora:word:1>"]
    result = make(prompts=prompts, batch_size=3)
    for place, prompt in enumerate(prompts):
        alone = make(prompt, seed=7 + place)
        assert (result.pictures[place] == alone.pictures[0]).all()
    from modules.requests.events import ImageDone

    hashes = [event.facts["extra"].get("Lora hashes", "") for event in result.of(ImageDone)]
    assert [text.partition(":")[0] for text in hashes] == ["look", "", "word"]
    steps = [event.step for event in result.steps]
    assert steps == sorted(steps)


def test_hires_prompts_have_their_own_networks(
    studio: Studio, make: Callable[..., Result], plain: np.ndarray
) -> None:
    hires = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent", "denoising_strength": 0.7}
    none = make(**hires).pictures[0]
    second = make(**hires, hr_prompt="a red apple<lora:look:1>")
    assert (second.pictures[0] != none).any()
    assert second.extra["Lora hashes"].startswith("look: ")
    first = make("a red apple<lora:look:1>", **hires, hr_prompt="a red apple").pictures[0]
    both = make("a red apple<lora:look:1>", **hires).pictures[0]
    assert len({picture.tobytes() for picture in (none, second.pictures[0], first, both)}) == 4
    only_second = make("a red apple<lora:look:0:hr=1>", **hires).pictures[0]
    assert (only_second == second.pictures[0]).all()


def test_the_refiner_gets_the_networks_too(
    studio: Studio, make: Callable[..., Result], folder: Path, plain: np.ndarray
) -> None:
    other = tiny_sd(folder / "refiner", name="other", dtype="float32", seed=9)
    given = {"refiner": str(other)}
    job = {"refiner_checkpoint": "other", "refiner_switch_at": 0.5, "steps": 4}

    def refined(prompt: str) -> np.ndarray:
        result = make(prompt, resources=given, **job)
        assert not result.warnings
        return result.pictures[0]

    bare = refined("a red apple")
    both = refined("a red apple<lora:look:1>")
    late = refined("a red apple<lora:look:1:start=3>")
    assert len({picture.tobytes() for picture in (plain, bare, both, late)}) == 4
    assert (refined("a red apple") == bare).all()
    assert (make().pictures[0] == plain).all()


# -- textual inversion --------------------------------------------------------------------------


def word(folder: Path, file: str, vectors: Tensor) -> dict[str, str]:
    """An embedding file in the format of its ending; the job's entry for it."""
    path = folder / file
    if path.suffix == ".safetensors":
        save_file({"emb_params": vectors}, str(path))
    elif path.suffix == ".bin":
        torch.save({f"<{path.stem}>": vectors[0]}, path)
    elif path.suffix == ".png":
        data = {"string_to_param": {"*": {"TORCHTENSOR": vectors.tolist()}}, "name": path.stem}
        info = PngImagePlugin.PngInfo()
        info.add_text("sd-ti-embedding", base64.b64encode(json.dumps(data).encode()).decode())
        Image.new("RGB", (16, 16)).save(path, pnginfo=info)
    else:
        torch.save({"string_to_param": {"*": vectors}, "name": "x", "step": 5}, path)
    return {"name": path.stem, "path": str(path)}


@pytest.mark.parametrize("ending", ["pt", "safetensors", "png"])
def test_a_learned_word_stands_for_its_vectors(
    make: Callable[..., Result],
    studio: Studio,
    folder: Path,
    rand: Rand,
    plain: np.ndarray,
    ending: str,
) -> None:
    vectors = rand(3, 64)
    entry = word(folder, f"zorblax.{ending}", vectors)
    result = make("a red zorblax apple", resources={"embeddings": [entry]})
    assert (result.pictures[0] != plain).any()
    from modules.catalog.hashes import hash_file

    assert result.extra["TI hashes"] == f"zorblax: {hash_file(Path(entry['path']))[:12]}"
    model = studio.engine.models.current
    tower = model.conditioner.towers[0]
    ids = [tower.bos, *tower.tokenizer.encode("a red"), 0, 0, 0, *tower.tokenizer.encode("apple")]
    ids += [tower.eos] * (77 - len(ids))
    from modules.engine.conditioning.towers import PlacedVectors

    expected = tower.encode(torch.tensor([ids]), 1, [PlacedVectors(0, 3, vectors)])
    found = model.conditioner.encode("a red zorblax apple").context
    torch.testing.assert_close(found, expected.states, atol=1e-5, rtol=1e-4)
    assert (make().pictures[0] == plain).all()
    assert (make("a red zorblax apple").pictures[0] != result.pictures[0]).any()


def test_the_longest_name_counts_in_any_case_and_in_the_negative_prompt(
    make: Callable[..., Result], folder: Path, rand: Rand
) -> None:
    short = word(folder, "zorblax.pt", rand(1, 64))
    long = word(folder, "zorblax red.bin", rand(1, 64))
    entries = {"embeddings": [short, long]}
    result = make("a Zorblax  Red apple", resources=entries)
    assert result.extra["TI hashes"].startswith("zorblax red: ")
    assert "zorblax: " not in result.extra["TI hashes"]
    negative = make("a red apple", negative_prompt="(zorblax:1.2)", resources=entries)
    assert negative.extra["TI hashes"].startswith("zorblax: ")
    off = make(
        "zorblax",
        resources=entries,
        options={"textual_inversion_add_hashes_to_infotext": False},
    )
    assert "TI hashes" not in off.extra


def test_a_word_longer_than_a_chunk_is_cut_to_it(
    make: Callable[..., Result], folder: Path, rand: Rand
) -> None:
    entries = {"embeddings": [word(folder, "endless.pt", rand(90, 64))]}
    assert make("endless apple", resources=entries).extra["TI hashes"].startswith("endless: ")


def test_words_of_another_width_are_told_when_they_are_used(
    make: Callable[..., Result], folder: Path, rand: Rand, plain: np.ndarray
) -> None:
    entries = {
        "embeddings": [word(folder, "broad.pt", rand(1, 768)), word(folder, "a r.pt", rand(1, 768))]
    }
    told = make("a broad apple", resources=entries).warnings
    assert told == [
        "The embedding broad was left out: its vectors of 768 numbers do not fit the text encoder "
        "of tiny."
    ]
    silent = make("a red apple", resources=entries)
    assert silent.warnings == []
    assert (silent.pictures[0] == plain).all()


def test_a_lora_may_bring_words(
    make: Callable[..., Result], folder: Path, rand: Rand, plain: np.ndarray
) -> None:
    path = folder / "bundle.safetensors"
    save_file(
        {
            "bundle_emb.zumbro.string_to_param.*": rand(2, 64),
            f"{TEXT}.lora_up.weight": rand(64, 2),
            f"{TEXT}.lora_down.weight": rand(2, 64),
        },
        str(path),
    )
    given = {"loras": {"bundle": {"path": str(path)}}}
    result = make("a zumbro apple<lora:bundle:0>", resources=given)
    assert result.extra["TI hashes"] == "zumbro: bundle"
    without = make("a zumbro apple", resources=given)
    assert (without.pictures[0] != result.pictures[0]).any()
    assert "TI hashes" not in without.extra


# -- hypernetworks ------------------------------------------------------------------------------


def hypernetwork(folder: Path, rand: Rand, **told: Any) -> tuple[dict[str, Any], dict[int, Any]]:
    """A file in A1111's format, made for all widths of the tiny model."""
    states: dict[int, Any] = {
        width: tuple(
            {
                "linear.0.weight": rand(2 * width, width),
                "linear.0.bias": rand(2 * width),
                "linear.2.weight": rand(width, 2 * width),
                "linear.2.bias": rand(width),
            }
            for _ in range(2)
        )
        for width in (32, 64)
    }
    content = {
        **states,
        "step": 100,
        "name": "sharp",
        "layer_structure": [1, 2, 1],
        "activation_func": "relu",
        "is_layer_norm": False,
        "activate_output": False,
        "use_dropout": False,
        "sd_checkpoint": "abc",
        "sd_checkpoint_name": "tiny",
        **told,
    }
    path = folder / "sharp.pt"
    torch.save(content, path)
    return {"hypernetworks": {"sharp": {"path": str(path)}}}, states


def test_a_hypernetwork_changes_keys_and_values(
    make: Callable[..., Result],
    studio: Studio,
    folder: Path,
    rand: Rand,
    plain: np.ndarray,
) -> None:
    given, states = hypernetwork(folder, rand)
    result = make("a red apple<hypernet:sharp:0.5>", resources=given)
    assert (result.pictures[0] != plain).any()
    assert not result.warnings
    block = unet(studio).get_submodule("down_blocks.0.attentions.0.transformer_blocks.0")
    for layer, width in ((block.attn2.to_k, 64), (block.attn2.to_v, 64), (block.attn1.to_v, 32)):
        place = 1 if layer in (block.attn2.to_v, block.attn1.to_v) else 0
        w = states[width][place]
        x = rand(2, 5, width)
        inner = torch.relu(x @ w["linear.0.weight"].T + w["linear.0.bias"])
        moved = x + 0.5 * (inner @ w["linear.2.weight"].T + w["linear.2.bias"])
        torch.testing.assert_close(layer(x), moved @ layer.weight.T, atol=1e-4, rtol=1e-4)
    assert (make("a red apple<hypernet:sharp:0>", resources=given).pictures[0] == plain).all()
    assert (make().pictures[0] == plain).all()


def test_hypernetworks_have_activations_norms_and_dropout(folder: Path, rand: Rand) -> None:
    from modules.engine.adapters.hypernetwork import read_hypernetwork

    width = 8
    state = {
        "linear.0.weight": rand(16, 8),
        "linear.0.bias": rand(16),
        "linear.2.weight": rand(16),
        "linear.2.bias": rand(16),
        "linear.3.weight": rand(16, 16),
        "linear.3.bias": rand(16),
        "linear.5.weight": rand(16),
        "linear.5.bias": rand(16),
        "linear.7.weight": rand(8, 16),
        "linear.7.bias": rand(8),
        "linear.9.weight": rand(8),
        "linear.9.bias": rand(8),
    }
    path = folder / "deep.pt"
    torch.save(
        {
            width: (state, state),
            "layer_structure": [1, 2, 2, 1],
            "activation_func": "tanh",
            "is_layer_norm": True,
            "dropout_structure": [0, 0, 0.3, 0],
            "activate_output": True,
        },
        path,
    )
    layers = read_hypernetwork(path).layers[width][0]
    x = rand(3, width)
    value = x
    for linear, norm in ((0, 2), (3, 5), (7, 9)):
        value = value @ state[f"linear.{linear}.weight"].T + state[f"linear.{linear}.bias"]
        value = torch.tanh(value)
        value = torch.nn.functional.layer_norm(
            value, (value.shape[-1],), state[f"linear.{norm}.weight"], state[f"linear.{norm}.bias"]
        )
    torch.testing.assert_close(layers(x), value, atol=1e-5, rtol=1e-4)


def test_odd_hypernetworks_are_left_out_with_the_reason(
    make: Callable[..., Result], folder: Path, rand: Rand, plain: np.ndarray
) -> None:
    for told, reason in (
        ({"activation_func": "os.system"}, "unknown activation"),
        ({"layer_structure": [1, 900, 1]}, "impossible structure"),
        ({"layer_structure": [1, 3, 1]}, "does not have the layers"),
    ):
        given, _ = hypernetwork(folder, rand, **told)
        result = make("a red apple<hypernet:sharp:1>", resources=given)
        assert reason in result.warnings[0]
        assert (result.pictures[0] == plain).all()
