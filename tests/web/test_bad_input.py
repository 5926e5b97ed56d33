"""Nonsense is refused at once, with the field's name, and neither server nor engine minds."""

from __future__ import annotations

import json
import statistics

import pytest

from tests.web.conftest import SMALL

BAD = [
    ("sampler_name", {"sampler_name": "Nobody"}, "Euler a"),
    ("sampler_index", {"sampler_index": "Nobody"}, "Euler a"),
    ("scheduler", {"scheduler": "Weekly"}, "Karras"),
    (
        "sd_model_checkpoint",
        {"override_settings": {"sd_model_checkpoint": "gone"}},
        "easel-starter",
    ),
    ("sd_vae", {"override_settings": {"sd_vae": "gone"}}, "Automatic"),
    ("width", {"width": 0}, "8"),
    ("width", {"width": -512}, "8"),
    ("height", {"height": 1_000_000}, "16384"),
    ("width", {"width": 10**9}, ""),
    ("width", {"width": 8192, "height": 8192}, "megapixels"),
    ("batch_size", {"batch_size": 0}, "1"),
    ("batch_size", {"batch_size": 10_000}, ""),
    ("n_iter", {"n_iter": 10**6}, ""),
    ("steps", {"steps": 0}, "1"),
    ("steps", {"steps": "many"}, "integer"),
    ("cfg_scale", {"cfg_scale": "nan"}, "finite"),
    ("seed", {"seed": 2**70}, ""),
    ("hr_upscaler", {"enable_hr": True, "hr_upscaler": "Nobody"}, "Latent (bicubic)"),
    ("hr_sampler_name", {"enable_hr": True, "hr_sampler_name": "Nobody"}, "Euler a"),
    ("hr_checkpoint_name", {"enable_hr": True, "hr_checkpoint_name": "gone"}, "easel-starter"),
    ("hr_scale", {"enable_hr": True, "width": 1024, "height": 1024, "hr_scale": 16}, "megapixels"),
    ("hr_scale", {"enable_hr": True, "hr_scale": 1e6}, "16"),
    ("refiner_checkpoint", {"refiner_checkpoint": "gone"}, "easel-starter"),
    ("refiner_switch_at", {"refiner_switch_at": 2}, "1"),
    ("styles", {"styles": "not a list"}, "list"),
    ("CLIP_stop_at_last_layers", {"override_settings": {"CLIP_stop_at_last_layers": 99}}, "12"),
    ("prompt", {"prompt": "x" * 70_000}, "65536"),
    ("prompt", {"prompt": 7}, "string"),
    ("force_task_id", {"force_task_id": {}}, "string"),
]


def says(answer, field):
    body = answer.json()
    text = json.dumps(body)
    return field in text


@pytest.mark.parametrize(("field", "fields", "allowed"), BAD)
def test_a_bad_field_is_named_with_what_is_allowed(client, field, fields, allowed):
    answer = client.post("/sdapi/v1/txt2img", {**SMALL, **fields})
    assert 400 <= answer.status < 500, answer.body
    wanted = "sampler_name" if field == "sampler_index" else field
    assert says(answer, wanted)
    assert says(answer, allowed)


@pytest.mark.parametrize(
    "text", ['{"cfg_scale": NaN}', '{"cfg_scale": Infinity}', '{"eta": 1e999}']
)
def test_numbers_that_are_none_are_refused(client, text):
    headers = {"Content-Type": "application/json"}
    answer = client.post("/sdapi/v1/txt2img", text.encode(), headers=headers)
    assert answer.status == 422
    answer.json()


@pytest.mark.parametrize(
    "text",
    [
        b'{"prompt": "\\ud800"}',
        b'{"negative_prompt": "a\\udfffb"}',
        b'{"styles": ["\\ud800"]}',
        b'{"sampler_name": "\\ud800"}',
        b'{"override_settings": {"samples_filename_pattern": "\\ud800"}}',
        b'{"override_settings": {"sd_model_checkpoint": "\\ud800"}}',
        b'{"force_task_id": "\\ud800"}',
    ],
)
def test_half_characters_are_refused(client, text):
    headers = {"Content-Type": "application/json"}
    for path in ("/sdapi/v1/txt2img", "/easel/v1/jobs"):
        answer = client.post(path, text, headers=headers)
        assert answer.status == 422, answer.body
        answer.json()


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000, b"1" * 5000]
)
def test_bodies_that_are_no_request_are_refused(client, text):
    headers = {"Content-Type": "application/json"}
    assert client.post("/sdapi/v1/txt2img", text, headers=headers).status in (400, 422)


def test_a_form_post_does_not_reach_a_json_route(client):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = client.post("/sdapi/v1/txt2img", b'{"steps": 1}', headers={"Content-Type": kind})
        assert answer.status == 422


def test_a_nul_character_does_not_break_a_prompt(client):
    answer = client.post("/sdapi/v1/txt2img", {**SMALL, "prompt": "a\x00b"})
    assert answer.status == 200
    assert json.loads(answer.json()["info"])["prompt"] == "ab"


def test_an_unknown_script_is_named_as_a1111_names_it(client):
    answer = client.post("/sdapi/v1/txt2img", {**SMALL, "script_name": "nobody's plot"})
    assert (answer.status, answer.json()["detail"]) == (422, "Script 'nobody's plot' not found")
    body = {**SMALL, "alwayson_scripts": {"controlnet": {"args": []}}}
    assert client.post("/sdapi/v1/txt2img", body).status == 422


def test_refusals_take_no_time_and_allocate_nothing(client, server):
    times = []
    for _, fields, _ in BAD * 3:
        times.append(client.post("/sdapi/v1/txt2img", {**SMALL, **fields}).seconds)
    assert statistics.median(times) < 0.1
    assert client.get("/internal/pending-tasks").json()["size"] == 0
    assert client.post("/sdapi/v1/txt2img", SMALL).status == 200
    assert server.process.poll() is None


def test_a_body_over_the_limit_is_refused_before_it_is_read(client):
    answer = client.post("/sdapi/v1/png-info", None, headers={"Content-Length": str(65 * 2**20)})
    assert answer.status == 413


def test_an_unknown_task_or_job_is_404(client):
    for path in ("jobs/nobody", "jobs/nobody/progress", "jobs/nobody/preview"):
        answer = client.get(f"/easel/v1/{path}")
        assert answer.status == 404
        assert "nobody" in answer.json()["detail"]
    for action in ("cancel", "move", "retry"):
        assert client.post(f"/easel/v1/jobs/nobody/{action}", {}).status == 404
