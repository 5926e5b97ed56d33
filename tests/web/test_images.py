"""Pictures are served by id, with their true type, and nothing else is."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tests.web.conftest import SMALL


@pytest.fixture(scope="module")
def shown(server):
    from tests.web.conftest import Client

    client = Client(server.port)
    return client.finished(client.submit())["images"][0]


def test_a_picture_is_served_inline_with_its_true_type(client, shown):
    answer = client.get(shown["url"])
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "immutable" in answer.headers["cache-control"]
    assert Image.open(io.BytesIO(answer.body)).text["parameters"] == shown["infotext"]


def test_a_download_has_the_files_own_name(client, shown):
    for path in (shown["download"], shown["url"] + "?download=1"):
        answer = client.get(path)
        assert answer.headers["content-disposition"].startswith("attachment")
        assert shown["name"] in answer.headers["content-disposition"]


def test_thumbnails_are_small_and_sizes_are_bounded(client, shown):
    for path in (shown["thumb"], shown["url"] + "?size=64", shown["thumb"] + "?size=64"):
        answer = client.get(path)
        assert answer.headers["content-type"] == "image/webp"
        assert max(Image.open(io.BytesIO(answer.body)).size) <= 64
    assert client.get(shown["thumb"] + "?size=100000").status == 422


@pytest.mark.parametrize(
    "path",
    [
        "/image/../../etc/passwd",
        "/image/..%2f..%2f..%2fetc%2fpasswd",
        "/image/%2e%2e/config.json",
        "/image//etc/passwd",
        "/image/" + "a" * 32,
        "/image/" + "A" * 32,
        "/image/00001-5.png",
        "/image/%00",
        "/image/file:///etc/passwd",
        "/image/" + "a" * 32 + "/../../config.json",
        "/gradio_api/file=/etc/passwd",
        "/file=/etc/passwd",
        "/static-easel/../../../../etc/passwd",
        "/easel.sqlite",
        "/config.json",
    ],
)
def test_no_path_leads_to_a_file(client, path):
    answer = client.get(path)
    assert answer.status in (400, 403, 404), answer.status
    assert b"root:" not in answer.body


def test_a_picture_that_was_deleted_is_404(client):
    image = client.finished(client.submit(seed=77))["images"][0]
    Path(image["path"]).unlink()
    assert client.get(image["url"]).status == 404


def test_a_file_that_became_something_else_is_not_served(client):
    image = client.finished(client.submit(seed=78))["images"][0]
    Path(image["path"]).write_text("<script>alert(1)</script>")
    answer = client.get(image["url"])
    assert answer.status == 404
    assert b"alert" not in answer.body


def test_a_link_out_of_the_output_folder_is_not_followed(client, tmp_path):
    image = client.finished(client.submit(seed=79))["images"][0]
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    Path(image["path"]).unlink()
    Path(image["path"]).symlink_to(secret)
    assert client.get(image["url"]).status == 404


def test_pictures_that_were_not_saved_can_be_seen_too(client):
    answer = client.post("/easel/v1/jobs", {**SMALL, "save": False})
    image = client.finished(answer.json()["id"])["images"][0]
    assert image["saved"] is False
    assert client.get(image["url"]).status == 200
