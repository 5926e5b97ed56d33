"""SD 2.x: whether a model predicts noise or v is told by what lies beside it, or by trying it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from modules.catalog.errors import UnreadableModelError
from modules.engine.checkpoints.families.training import name_hints_velocity
from modules.engine.checkpoints.planning import plan_model
from modules.engine.runner import Engine
from tests.engine.generation.conftest import Studio
from tests.support.tiny_families import make, original, sd2_family, sdxl_family, write
from tests.support.tiny_models import REPOSITORY

CONFIGS = REPOSITORY / "configs"


def says_v(tmp_path: Path, **ways: Any) -> Path:
    """A model whose network answers flat grey with minus the picture, as one that predicts v."""
    bias = {"model.diffusion_model.out.2.bias": torch.full((4,), -3.0)}
    return write(tmp_path, sd2_family(), "single", more=bias, **ways)


def planned(path: Path) -> tuple[str, bool]:
    plan = plan_model(path, None, CONFIGS)
    return plan.scheduler["prediction_type"], plan.undecided


def loaded(studio: Studio, path: Path) -> tuple[str, int]:
    engine: Engine = studio.engine
    model = engine.load(str(path))
    return model.model_sampling.prediction_type, model.own_side


def test_without_any_word_the_network_is_tried(studio: Studio, tmp_path: Path) -> None:
    plain = write(tmp_path, sd2_family(), "single", name="plain")
    assert planned(plain)[1]
    assert loaded(studio, plain) == ("epsilon", 512)
    # A name is the last hint: it loses against what the network does.
    assert loaded(studio, says_v(tmp_path, name="eps")) == ("v_prediction", 768)
    named = write(tmp_path, sd2_family(), "single", name="v2-1_768-v-pred")
    assert loaded(studio, named) == ("epsilon", 512)


def test_a_folder_whose_scheduler_does_not_say_is_tried_too(tmp_path: Path) -> None:
    folder = write(tmp_path, sd2_family(), "folder")
    assert planned(folder) == ("epsilon", False)
    config = folder / "scheduler" / "scheduler_config.json"
    said = json.loads(config.read_text())
    config.write_text(json.dumps({k: v for k, v in said.items() if k != "prediction_type"}))
    assert planned(folder)[1]


@pytest.mark.parametrize(
    ("name", "hints"),
    [
        ("v2-1_768-ema-pruned", False),
        ("v2-1_768-v-ema", True),
        ("768-v", True),
        ("wd-1-5-vpred", True),
        ("mine_v-prediction", True),
        ("revAnimated_v122", False),
        ("sd_v2_v1", False),
    ],
)
def test_names_hint_only_when_they_speak_of_v(tmp_path: Path, name: str, hints: bool) -> None:
    file = tmp_path / f"{name}.safetensors"
    file.touch()
    assert name_hints_velocity(file) == hints


def test_what_lies_beside_the_file_is_believed_without_trying(tmp_path: Path) -> None:
    file = says_v(tmp_path, name="yaml")
    config = {"model": {"params": {"parameterization": "eps", "timesteps": 1000}}}
    file.with_suffix(".yaml").write_text(json.dumps(config))
    assert planned(file) == ("epsilon", False)
    file.with_suffix(".yaml").write_text("model: {params: {parameterization: v}}")
    assert planned(file) == ("v_prediction", False)
    # Our own sidecar is the user's last word.
    sidecar = {"scheduler": {"prediction_type": "epsilon"}}
    file.with_suffix(".easel.json").write_text(json.dumps(sidecar))
    assert planned(file) == ("epsilon", False)


@pytest.mark.parametrize(
    ("ways", "kind"),
    [
        ({"metadata": {"modelspec.prediction_type": "v"}}, "v_prediction"),
        ({"metadata": {"modelspec.prediction_type": "epsilon"}}, "epsilon"),
        ({"metadata": {"modelspec.architecture": "stable-diffusion-v2-768-v"}}, "v_prediction"),
        ({"more": {"v_pred": torch.zeros(0)}}, "v_prediction"),
    ],
)
def test_metadata_and_marker_tensors_are_believed(
    tmp_path: Path, ways: dict[str, Any], kind: str
) -> None:
    assert planned(write(tmp_path, sd2_family(), "single", **ways)) == (kind, False)


def test_sdxl_models_with_marker_tensors_predict_v_at_zero_terminal_snr(
    tmp_path: Path, studio: Studio
) -> None:
    marks = {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}
    model = studio.engine.load(str(write(tmp_path, sdxl_family(), "single", more=marks)))
    assert model.model_sampling.prediction_type == "v_prediction"
    assert model.model_sampling.zero_terminal_snr


def test_inpainting_models_are_never_tried(tmp_path: Path) -> None:
    assert planned(write(tmp_path, sd2_family(9), "single")) == ("epsilon", False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1, 2", "is not valid YAML"),
        ("model: {params: {parameterization: w}}", "parameterization 'w'; allowed: eps, v, x0"),
        ("model: {params: {linear_start: soon}}", "linear_start 'soon', not a number"),
        ("x: !!python/object/apply:os.system ['true']", "is not valid YAML"),
        ("a: &a [" + "*a," * 200 + "]", "too many references"),
        ("[" * 900, "is not valid YAML"),
        ("[" * 5000, "too many brackets"),
        ("a: 1\n" * 100_000, "is bigger than"),
    ],
)
def test_a_bad_yaml_is_refused_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    file = write(tmp_path, sd2_family(), "single")
    file.with_suffix(".yaml").write_text(text)
    with pytest.raises(UnreadableModelError) as caught:
        plan_model(file, None, CONFIGS)
    assert said in caught.value.sentence
    assert caught.value.sentence.startswith("tiny.yaml")


def test_a_yaml_of_another_program_changes_nothing(tmp_path: Path) -> None:
    file = write(tmp_path, sd2_family(), "single")
    before = plan_model(file, None, CONFIGS)
    file.with_suffix(".yaml").write_text("model: 3\nnodes: [1, 2]\n")
    after = plan_model(file, None, CONFIGS)
    assert (after.scheduler, after.undecided) == (before.scheduler, before.undecided)


def test_values_of_a_yaml_reach_the_networks(tmp_path: Path) -> None:
    file = write(tmp_path, sd2_family(), "single")
    params = {
        "scale_factor": 0.2,
        "linear_start": 0.001,
        "unet_config": {"target": "os.system", "params": {"num_heads": 4, "in_channels": 99}},
    }
    file.with_suffix(".yaml").write_text(json.dumps({"model": {"params": params}}))
    plan = plan_model(file, None, CONFIGS)
    assert plan.components["vae"].config["scaling_factor"] == 0.2
    assert plan.scheduler["beta_start"] == 0.001
    assert plan.components["unet"].config["attention_head_dim"] == 4
    assert plan.components["unet"].config["in_channels"] == 4


def test_the_last_layer_of_openclip_is_left_out_as_the_family_never_reads_it(
    tmp_path: Path,
) -> None:
    state = original(make(sd2_family()))
    assert "cond_stage_model.model.transformer.resblocks.3.ln_1.weight" in state
    plan = plan_model(write(tmp_path, sd2_family(), "single"), None, CONFIGS)
    assert plan.components["text_encoder"].config["num_hidden_layers"] == 3
