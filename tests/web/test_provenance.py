"""Verifying, stripping and term lists over HTTP, and what the settings do to results."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from modules.gallery import encode_image, read_image_info
from modules.imaging.watermark import embed, find_mark

TEXT = "a secret garden\nSteps: 3, Sampler: Euler, Seed: 5"


def put(client, settings):
    answer = client.send("PUT", "/easel/v1/settings", settings)
    assert answer.status == 200, answer.body


@pytest.fixture
def settings(client):
    """Changes settings for one test."""
    changed: dict[str, object] = {}

    def change(**values):
        changed.update(values)
        put(client, values)

    yield change
    answer = client.post("/easel/v1/settings/reset", {"keys": list(changed)})
    assert answer.status == 200


@pytest.fixture(scope="module")
def plain():
    return encode_image(Image.new("RGB", (256, 256), "#8090a0"), "png", TEXT).data


def test_results_are_marked_signed_and_verified(client, settings):
    settings(watermark_enabled=True, content_credentials=True)
    job = client.finished(client.submit(width=256, height=256, steps=1))
    assert job["state"] == "done", job
    image = job["images"][0]
    data = client.get(f"/image/{image['id']}").body
    assert "Steps: 1" in read_image_info(data).text
    found = client.post("/easel/v1/verify", {"image_id": image["id"]}).json()
    assert found["watermark"] == {
        "name": "Easel",
        "text": "Easel AI",
        "method": "dwtDctSvd",
        "agreement": 1.0,
    }
    credentials = found["credentials"]
    assert (credentials["state"], credentials["ai"]) == ("own", True)
    assert credentials["model"] == "easel-starter"
    assert len(credentials["model_hash"]) in (10, 64)
    small = {"prompt": "a pear", "steps": 1, "width": 64, "height": 64}
    answer = client.post("/sdapi/v1/img2img", {**small, "init_images": [found_b64(data)]}).json()
    again = client.post("/easel/v1/verify", {"image": answer["images"][0]}).json()
    assert again["credentials"]["actions"] == ["c2pa.opened", "c2pa.edited"]
    assert again["watermark"] is None, "it is too small for a mark"
    clean = client.get(f"/image/{image['id']}/download?metadata=false")
    assert clean.headers["content-disposition"].startswith(
        f'attachment; filename="{image["id"][:8]}.png"'
    )
    assert read_image_info(clean.body).text == ""
    assert b"c2pa" not in clean.body
    assert find_mark(Image.open(io.BytesIO(clean.body))) is not None, "the mark is in the pixels"


def found_b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_pictures_are_verified_as_bytes_and_as_base64(client, plain):
    found = client.post("/easel/v1/verify", plain).json()
    assert (found["credentials"]["state"], found["watermark"]) == ("none", None)
    marked = io.BytesIO()
    embed(Image.open(io.BytesIO(plain))).save(marked, "PNG")
    found = client.post("/easel/v1/verify", {"image": found_b64(marked.getvalue())}).json()
    assert found["watermark"]["name"] == "Easel"


def test_stripping_gives_the_picture_and_nothing_else(client, plain):
    assert read_image_info(plain).text == TEXT
    for body in (plain, {"image": found_b64(plain)}):
        answer = client.post("/easel/v1/strip", body)
        assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
        assert 'attachment; filename="picture.png"' in answer.headers["content-disposition"]
        assert read_image_info(answer.body).text == ""


@pytest.mark.parametrize("route", ["/easel/v1/verify", "/easel/v1/strip"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"<svg/>", 422),
        (b"\x89PNG\r\n\x1a\n\0\0", 422),
        ({}, 422),
        ([], 422),
        ({"image": "%%%"}, 422),
        ({"image": 5}, 422),
        ({"image_id": "0" * 32}, 404),
        ({"image_id": "../x"}, 404),
    ],
)
def test_what_is_no_picture_gets_one_sentence(client, route, body, status):
    answer = client.post(route, body)
    assert answer.status == status
    assert answer.json()["errors"].endswith(".")


def test_term_lists_are_written_switched_and_removed(client):
    base = "/easel/v1/term-lists"
    made = client.send("PUT", f"{base}/animals", {"text": "# beasts\nwolf\n"}).json()
    assert {"name": "animals", "terms": 1, "enabled": True, "problem": ""} in made["lists"]
    assert made["folder"] == "term-lists"
    refused = client.post("/easel/v1/jobs", {"prompt": "a (wo:1.1)lf", "steps": 1})
    assert refused.status == 422
    sentence = "prompt: 'wolf' is on the term list 'animals' of this server."
    assert refused.json()["errors"] == sentence
    loosened = {"prompt": "wolf", "override_settings": {"disabled_term_lists": ["animals"]}}
    assert client.post("/sdapi/v1/txt2img", loosened).status == 422
    off = client.send("PUT", f"{base}/animals", {"enabled": False}).json()
    assert [one["enabled"] for one in off["lists"] if one["name"] == "animals"] == [False]
    job = client.submit(prompt="a wolf", steps=1)
    assert client.get(f"{base}/animals").json()["text"] == "# beasts\nwolf\n"
    assert client.send("DELETE", f"{base}/animals").status == 200
    assert client.send("DELETE", f"{base}/animals").status == 404
    assert client.finished(job)["state"] == "done"
    assert client.get("/sdapi/v1/options").json()["disabled_term_lists"] == []


@pytest.mark.parametrize(
    ("name", "status"), [("..%2Fx", 422), (".x", 422), ("x" * 61, 422), ("a.b", 422), ("no", 404)]
)
def test_odd_names_reach_no_file(client, name, status):
    assert client.get(f"/easel/v1/term-lists/{name}").status == status
    assert client.send("PUT", f"/easel/v1/term-lists/{name}", {"enabled": True}).status == status


def test_a_checker_without_files_says_where_they_belong(client, settings):
    settings(safety_checker="block")
    answer = client.post("/easel/v1/jobs", {"prompt": "a cat", "steps": 1})
    assert answer.status == 422
    assert "into models/safety_checker" in answer.json()["errors"]


@pytest.mark.parametrize("value", ["", "x" * 17, "画" * 6])
def test_a_watermark_that_does_not_fit_is_refused_when_it_is_set(client, value):
    answer = client.send("PUT", "/easel/v1/settings", {"watermark_text": value})
    assert answer.status == 422
    assert "1 to 16 bytes" in answer.json()["errors"]
