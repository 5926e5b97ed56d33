"""Replay: a picture is made again, compared pixel by pixel, and a difference gets a cause."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from modules.gallery import read_image_info
from tests.web.conftest import SMALL, Client

PNG = {"Content-Type": "image/png"}


def verdict(client: Client, job_id: str) -> dict[str, Any]:
    client.finished(job_id)
    answer = client.get(f"/easel/v1/jobs/{job_id}/replay")
    assert answer.status == 200, answer.body
    return answer.json()


def pictures(job: dict[str, Any]) -> list[dict[str, Any]]:
    return [image for image in job["images"] if not image["is_grid"]]


def with_text(data: bytes, text: str, form: str = "PNG") -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", text)
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).save(buffer, form, pnginfo=info)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def made(server: Any) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Four pictures of two batches, and their files."""
    client = Client(server.port)
    fields = {"batch_size": 2, "n_iter": 2, "sampler_name": "Euler a", "save": False}
    job = client.finished(client.submit(**fields))
    images = pictures(job)
    return images, [client.get(image["url"]).body for image in images]


def test_a_picture_of_a_later_batch_is_made_again_to_the_same_pixels(
    client: Client, made: tuple[list[dict[str, Any]], list[bytes]]
) -> None:
    image = made[0][3]
    answer = client.post(f"/easel/v1/images/{image['id']}/replay")
    assert answer.status == 200, answer.body
    found = verdict(client, answer.json()["job"])
    assert found["same"] is True
    assert (found["differing"], found["pixels"], found["causes"]) == (0, 64 * 64, [])
    assert found["original"] == image["url"]
    assert found["image"]["seed"] == image["seed"]
    assert found["image"]["saved"] is False  # the output folder stays as it is


def test_a_file_is_made_again_from_its_text_alone(
    client: Client, made: tuple[list[dict[str, Any]], list[bytes]]
) -> None:
    data = made[1][0]
    text = read_image_info(data).text.replace(", Version:", ", User: someone, Version:")
    stranger = with_text(data, text)  # no picture here has this text
    answer = client.post("/easel/v1/replay", stranger, headers=PNG)
    found = verdict(client, answer.json()["job"])
    # In a batch of two a picture may differ from one that is made alone by roundings.
    assert found["same"] or found["largest"] <= 1
    assert found["original"] is None


def test_what_was_changed_is_found_and_named(
    client: Client, made: tuple[list[dict[str, Any]], list[bytes]]
) -> None:
    data = made[1][1]
    text = read_image_info(data).text
    other = text.replace("Model hash: ", "Model hash: 0").replace("Version: easel", "Version: old")
    spoilt = Image.open(io.BytesIO(data)).convert("RGB")
    spoilt.putpixel((3, 4), (255, 0, 255))
    buffer = io.BytesIO()
    spoilt.save(buffer, "PNG")
    answer = client.post("/easel/v1/replay", with_text(buffer.getvalue(), other), headers=PNG)
    found = verdict(client, answer.json()["job"])
    assert found["same"] is False
    assert found["differing"] >= 1
    kinds = [cause["kind"] for cause in found["causes"]]
    assert kinds[:2] == ["checkpoint", "program"]
    assert found["causes"][0]["sentence"].startswith("Another checkpoint: easel-starter [0")


def test_a_known_picture_that_was_edited_has_no_other_cause(
    client: Client, made: tuple[list[dict[str, Any]], list[bytes]]
) -> None:
    data = made[1][2]
    small = Image.open(io.BytesIO(data)).resize((32, 32))
    buffer = io.BytesIO()
    small.save(buffer, "PNG")
    file = with_text(buffer.getvalue(), read_image_info(data).text)
    found = verdict(client, client.post("/easel/v1/replay", file, headers=PNG).json()["job"])
    assert [cause["sentence"] for cause in found["causes"]] == [
        "The picture is 32x32 pixels large, the new one 64x64: it was resized or cut."
    ]


def test_what_cannot_be_made_again_is_refused_in_one_sentence(client: Client) -> None:
    empty = io.BytesIO()
    Image.new("RGB", (8, 8)).save(empty, "PNG")
    for body, words in (
        (b"nothing", "no PNG, JPEG"),
        (empty.getvalue(), "no parameters"),
        (
            with_text(empty.getvalue(), "a\nSteps: 3, Seed: 1, Size: 8x8, Denoising strength: 0.5"),
            "the picture it was made from is not in the file",
        ),
        (
            with_text(
                empty.getvalue(),
                "a\nSteps: 3, Seed: 1, Size: 64x64, Model: other, Model hash: 1234567890",
            ),
            "the checkpoint other [1234567890] that made it is not here",
        ),
    ):
        answer = client.post("/easel/v1/replay", body, headers=PNG)
        assert answer.status == 422, answer.body
        assert words in answer.json()["errors"]
    assert client.post("/easel/v1/images/none/replay").status == 404
    job_id = client.submit(**SMALL)
    client.finished(job_id)
    assert client.get(f"/easel/v1/jobs/{job_id}/replay").status == 422
    assert client.post("/easel/v1/replay", {"image": 7}).status == 422
