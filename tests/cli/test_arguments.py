"""CompVis's flags become generation requests."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from modules.cli.arguments import build_parser, check, prompts_of, to_requests
from modules.settings.flags import parse_flags

STARTER = {"width": 128, "height": 128, "sampler_name": "DDIM", "cfg_scale": 4.0, "steps": 20}


def requests(*words, suggested=None):
    asked = build_parser().parse_args(list(words))
    check(asked)
    return to_requests(asked, suggested or {})


def test_the_command_of_the_readme_becomes_one_request():
    words = ["--H", "512", "--W", "640", "--seed", "8", "--steps", "20", "--scale", "7", "--plms"]
    (request,) = requests("--prompt", "a red apple", *words)
    assert (request.prompt, request.height, request.width) == ("a red apple", 512, 640)
    assert (request.seed, request.steps, request.cfg_scale) == (8, 20, 7.0)
    assert request.sampler_name == "PLMS"
    assert request.save_images


def test_compvis_names_mean_the_same_as_ours():
    ours = requests("--steps", "7", "--negative-prompt", "bad")
    compvis = requests("--ddim_steps", "7", "--negative_prompt", "bad")
    assert ours == compvis


def test_samples_are_the_batch_and_iterations_the_batches():
    (request,) = requests("--n_samples", "3", "--n_iter", "2")
    assert (request.batch_size, request.n_iter) == (3, 2)


def test_what_no_flag_says_comes_from_the_checkpoint_then_from_the_page():
    (request,) = requests("--scale", "9", suggested=STARTER)
    assert (request.width, request.sampler_name, request.cfg_scale) == (128, "DDIM", 9.0)
    (request,) = requests()
    assert (request.width, request.sampler_name, request.steps) == (512, "DPM++ 2M", 20)


def test_a_checkpoint_cannot_suggest_other_fields():
    (request,) = requests(suggested={"prompt": "surprise", "n_iter": 99})
    assert (request.prompt, request.n_iter) == ("", 1)


def test_an_eta_means_ddim_unless_a_sampler_is_named():
    (request,) = requests("--ddim_eta", "0.5")
    assert (request.sampler_name, request.eta) == ("DDIM", 0.5)
    (request,) = requests("--ddim_eta", "0.5", "--sampler", "Euler a")
    assert request.sampler_name == "Euler a"


def test_fixed_code_repeats_the_same_request():
    first, second = requests("--fixed_code", "--n_iter", "2", "--seed", "5")
    assert first == second
    assert first.n_iter == 1


def test_a_file_gives_one_request_per_line(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("a cat\n\n  a dog \n", encoding="utf-8")
    assert [r.prompt for r in requests("--from-file", str(path))] == ["a cat", "a dog"]


@pytest.mark.parametrize("content", [None, b"\n \n", b"\xff\xfe\xff"])
def test_a_file_without_prompts_is_refused_by_name(tmp_path, content):
    path = tmp_path / "prompts.txt"
    if content is not None:
        path.write_bytes(content)
    asked = build_parser().parse_args(["--from-file", str(path)])
    with pytest.raises(ValueError, match=r"prompts\.txt"):
        prompts_of(asked)


def test_the_folder_applies_to_pictures_and_grids(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (request,) = requests("--outdir", "here")
    folder = str(tmp_path / "here")
    assert request.override_settings["outdir_samples"] == folder
    assert request.override_settings["outdir_grids"] == folder


def test_pictures_per_row_become_rows():
    (request,) = requests("--n_samples", "3", "--n_iter", "2", "--n_rows", "4")
    assert request.override_settings["n_rows"] == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--C", "8"],
        ["--f", "16"],
        ["--laion400m"],
        ["--plms", "--sampler", "Euler"],
        ["--skip_save", "--skip_grid"],
    ],
)
def test_contradictions_are_refused_with_the_flags_name(words):
    asked = build_parser().parse_args(words)
    with pytest.raises(ValueError, match=words[0].lstrip("-")):
        check(asked)


@pytest.mark.parametrize("words", [["--H", "0"], ["--steps", "0"], ["--scale", "nan"]])
def test_values_out_of_range_are_refused_by_the_request(words):
    with pytest.raises(ValidationError):
        requests(*words)


def test_engine_flags_of_the_server_pass_through():
    words = ["--prompt", "a cat", "--data-dir", "/tmp/x", "--precision", "full", "--no-half"]
    asked, rest = build_parser().parse_known_args(words)
    flags = parse_flags(rest)
    assert asked.prompt == "a cat"
    assert (flags.data_dir, flags.precision, flags.no_half) == ("/tmp/x", "full", True)
