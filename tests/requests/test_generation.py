from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from modules.requests import events
from modules.requests.errors import NotFoundInList, RequestError
from modules.requests.generation import GenerationRequest
from modules.requests.limits import Limits, check_budget
from modules.requests.prepared import PreparedJob


def test_defaults_are_those_of_the_api_not_of_the_page():
    request = GenerationRequest()
    assert (request.steps, request.cfg_scale, request.width, request.height) == (50, 7.0, 512, 512)
    assert request.chosen_sampler() == "Euler"
    assert GenerationRequest.ui_defaults().steps == 20


def test_null_means_default_and_unknown_fields_are_ignored():
    request = GenerationRequest.model_validate(
        {"steps": None, "styles": None, "url": "x", "auth": "y"}
    )
    assert request == GenerationRequest()


def test_conversions_are_as_lax_as_clients_need():
    request = GenerationRequest.model_validate({"steps": "30", "width": 640.0, "save_images": 1})
    assert (request.steps, request.width, request.save_images) == (30, 640, True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 0),
        ("width", -512),
        ("height", 7),
        ("steps", 0),
        ("steps", 10**9),
        ("cfg_scale", float("nan")),
        ("cfg_scale", float("inf")),
        ("denoising_strength", 1.5),
        ("seed", -2),
        ("seed", 2**70),
        ("batch_size", 0),
        ("n_iter", 0),
        ("prompt", "\ud800"),
        ("prompt", "a" * 70000),
        ("prompt", 5),
    ],
)
def test_nonsense_is_refused_with_the_fields_name(field, value):
    with pytest.raises(ValidationError) as caught:
        GenerationRequest.model_validate({field: value})
    assert caught.value.errors()[0]["loc"][0] == field


def test_sizes_round_down_to_the_latent_grid():
    sized = GenerationRequest(width=517, height=100).sized()
    assert (sized.width, sized.height) == (512, 96)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"width": 20000}, "width"),
        ({"width": 8192, "height": 8192}, "width"),
        ({"width": 4096, "height": 4096, "batch_size": 9}, "batch_size"),
        ({"width": 64, "height": 64, "n_iter": 1001}, "n_iter"),
    ],
)
def test_a_job_beyond_the_budget_is_refused_before_work(fields, field):
    with pytest.raises(RequestError) as caught:
        check_budget(GenerationRequest(**fields), Limits())
    assert caught.value.field == field


def test_a_large_but_allowed_job_passes():
    check_budget(GenerationRequest(width=4096, height=4096), Limits())


def test_an_unknown_name_suggests_the_nearest():
    error = NotFoundInList("sampler_name", "Eular a", ["Euler a", "DDIM"])
    assert "'Eular a' is not known" in error.sentence
    assert "Did you mean 'Euler a'?" in error.sentence


def test_a_hostile_value_is_shown_harmlessly():
    sentence = NotFoundInList("styles", "\ud800\x00\n" + "x" * 500, ["a"]).sentence
    sentence.encode("utf-8")
    assert "\n" not in sentence
    assert len(sentence) < 300


def test_a_prepared_job_survives_json():
    job = PreparedJob(
        id="a",
        kind="txt2img",
        request=GenerationRequest(prompt="x").model_dump(),
        options={"a": 1},
        all_prompts=["x"],
        all_negative_prompts=[""],
        all_seeds=[1],
        all_subseeds=[2],
        warnings=["w"],
    )
    data = json.loads(json.dumps(job.to_json()))
    assert PreparedJob.from_json({**data, "of_a_newer_version": 1}) == job


@pytest.mark.parametrize("cls", events.Event.__subclasses__())
def test_every_event_survives_the_wire(cls):
    event = cls(data=b"\x00\xff") if "data" in cls.__dataclass_fields__ else cls()
    header, blobs = event.to_wire()
    assert events.from_wire(json.loads(json.dumps(header)), blobs) == event


def test_a_foreign_event_is_refused():
    with pytest.raises(ValueError, match="unknown event"):
        events.from_wire({"ev": "nope"}, [])
    with pytest.raises(ValueError, match="blob"):
        events.from_wire({"ev": "preview"}, [])
