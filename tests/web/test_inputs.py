"""Input pictures over HTTP: uploaded, looked at, taken over from results; nothing but pictures."""

from __future__ import annotations

import io

import pytest
from PIL import Image


def png(width=24, height=16, color=(200, 30, 40)):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), color).save(buffer, "PNG")
    return buffer.getvalue()


def test_an_uploaded_picture_comes_back_byte_for_byte(client):
    data = png()
    answer = client.post("/easel/v1/inputs", data, headers={"Content-Type": "image/png"})
    assert answer.status == 200, answer.body
    stored = answer.json()
    assert (stored["width"], stored["height"], stored["has_alpha"]) == (24, 16, False)
    assert stored["ref"].startswith("input:")
    seen = client.get(stored["url"])
    assert (seen.status, seen.body, seen.headers["content-type"]) == (200, data, "image/png")
    assert seen.headers["x-content-type-options"] == "nosniff"


def test_a_result_can_be_taken_as_an_input(client):
    job = client.finished(client.submit())
    image = job["images"][0]
    stored = client.post("/easel/v1/inputs/from-image", {"image_id": image["id"]}).json()
    assert (stored["width"], stored["height"]) == (64, 64)
    assert client.get(stored["url"]).body == client.get(image["url"]).body


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", png()[:40]]
)
def test_what_is_no_picture_is_refused_with_a_sentence(client, data):
    answer = client.post("/easel/v1/inputs", data, headers={"Content-Type": "image/png"})
    assert answer.status == 422
    assert "picture" in answer.json()["detail"]


def test_a_picture_over_the_limits_is_refused_before_it_is_decoded(client):
    for size in ((20_000, 1), (5000, 5000)):
        answer = client.post("/easel/v1/inputs", png(*size))
        assert answer.status == 422
        assert "allowed" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["0" * 64, "0" * 63, "..%2f..%2fconfig.json", "x"])
def test_an_address_that_names_no_picture_is_404(client, name):
    assert client.get(f"/easel/v1/inputs/{name}").status == 404


@pytest.mark.parametrize("image_id", ["0" * 32, "../x", ""])
def test_an_image_that_is_not_there_is_404(client, image_id):
    assert client.post("/easel/v1/inputs/from-image", {"image_id": image_id}).status == 404
