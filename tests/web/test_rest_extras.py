"""Extras, interrogation and batches over HTTP with the real engine."""

from __future__ import annotations

import json

import pytest

from tests.web.conftest import SMALL
from tests.web.pictures import b64, data_of, opened, photo

SINGLE, BATCH = "/sdapi/v1/extra-single-image", "/sdapi/v1/extra-batch-images"
TEXT = "a disc\nSteps: 3, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64"


def single(client, **fields):
    answer = client.post(SINGLE, {"image": b64(photo()), **fields})
    assert answer.status == 200, answer.body
    return opened(answer.json()["image"]), answer.json()["html_info"]


def test_none_leaves_the_size_alone(client):
    image, _ = single(client, upscaling_resize=4)
    assert image.size == (64, 64)


def test_a_picture_is_scaled_by_or_to(client):
    assert single(client, upscaler_1="Lanczos", upscaling_resize=1.5)[0].size == (96, 96)
    to = {"resize_mode": 1, "upscaling_resize_w": 128, "upscaling_resize_h": 64}
    assert single(client, upscaler_1="Nearest", **to)[0].size == (128, 64)
    assert single(client, upscaler_1="Nearest", upscaling_crop=False, **to)[0].size == (128, 128)


def test_the_text_of_the_input_stays_and_what_was_done_is_beside_it(client):
    answer = client.post(SINGLE, {"image": b64(photo(), TEXT), "upscaler_1": "Lanczos"}).json()
    image = opened(answer["image"])
    assert image.text["parameters"] == TEXT
    assert image.text["extras"].startswith(
        "Postprocess upscale by: 2, Postprocess upscaler: Lanczos"
    )
    assert "Postprocess upscaler: Lanczos" in answer["html_info"]
    info = client.post("/sdapi/v1/png-info", {"image": answer["image"]}).json()
    assert info["info"] == TEXT
    assert "postprocessing" in info["items"]


def test_several_pictures_come_back_in_order(client):
    sizes = [(64, 64), (32, 48)]
    listed = [{"data": b64(photo(*size)), "name": f"{size[0]}.png"} for size in sizes]
    answer = client.post(BATCH, {"imageList": listed, "upscaler_1": "Lanczos"}).json()
    assert [opened(text).size for text in answer["images"]] == [(128, 128), (64, 96)]


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("gfpgan_visibility", {"gfpgan_visibility": 1.1}),
        ("codeformer_weight", {"codeformer_weight": -1}),
        ("upscaling_resize", {"upscaling_resize": 0}),
        ("upscaling_resize_w", {"upscaling_resize_w": 0}),
        ("resize_mode", {"resize_mode": 2}),
        ("upscaler_1", {"upscaler_1": "Nobody"}),
        ("upscaler_2", {"upscaler_2": "Nobody"}),
        ("upscaling_resize", {"upscaler_1": "Lanczos", "upscaling_resize": 1e9}),
        ("image", {"image": ""}),
        ("image", {"image": "no base64"}),
        ("image", {"image": "http://127.0.0.1/x.png"}),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_field(client, field, fields):
    answer = client.post(SINGLE, {"image": b64(photo()), **fields})
    assert answer.status == 422, answer.body
    assert field in json.dumps(answer.json())


def test_a_batch_needs_its_list(client):
    assert client.post(BATCH, {}).status == 422
    assert client.post(BATCH, {"imageList": []}).status == 422


def test_the_page_gets_extras_as_jobs(client, server):
    ref = client.post("/easel/v1/inputs", data_of(photo(), TEXT)).json()["ref"]
    answer = client.post(
        "/easel/v1/jobs",
        {"kind": "extras", "images": [ref], "names": ["disc.png"], "upscaler_1": "Lanczos"},
    )
    assert answer.status == 200, answer.body
    job = client.finished(answer.json()["id"])
    assert (job["state"], job["kind"], job["upscaler"]) == ("done", "extras", "Lanczos")
    image = job["images"][0]
    assert (image["width"], image["infotext"]) == (128, TEXT)
    assert image["name"] == "disc.png"
    assert image["saved"]
    assert "extras-images" in image["path"]
    assert client.get(image["url"]).status == 200


@pytest.mark.parametrize(
    "body", [{"kind": "extras", "images": ["x"]}, {"kind": "nonsense"}, {"kind": "img2img"}]
)
def test_jobs_that_cannot_be_done_are_refused(client, body):
    answer = client.post("/easel/v1/jobs", body)
    assert answer.status == 422
    assert answer.json()["detail"]


@pytest.mark.parametrize("path", ["/sdapi/v1/interrogate", "/easel/v1/interrogate"])
def test_interrogating_needs_a_known_model_and_a_picture(client, path):
    image = b64(photo())
    unknown = client.post(path, {"image": image, "model": "oracle"})
    assert (unknown.status, unknown.json()["detail"]) == (404, "Model not found")
    assert client.post(path, {"image": ""}).status == 404
    assert client.post(path, {"image": "no base64"}).status == 422
    for model in ("clip", "deepdanbooru"):
        answer = client.post(path, {"image": image, "model": model})
        assert answer.status == 422
        assert len(answer.json()["detail"]) > 30


def test_a_batch_over_http_keeps_names_in_the_output_directory(client, server, tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "one.png").write_bytes(data_of(photo()))
    (source / "two.png").write_bytes(b"nothing")
    body = {
        "kind": "img2img",
        "request": {**SMALL, "denoising_strength": 0.3},
        "directory": str(source),
        "output_directory": str(target),
    }
    answer = client.post("/easel/v1/batch", body)
    assert answer.status == 200, answer.body
    assert [entry["name"] for entry in answer.json()["skipped"]] == ["two.png"]
    job = client.finished(answer.json()["jobs"][0]["id"])
    assert job["state"] == "done", job["error"]
    assert (target / "one.png").is_file()
    assert client.get(job["images"][0]["url"]).status == 200
