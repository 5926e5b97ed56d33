"""The application in this process, with an engine that paints plain colours."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from modules.settings.flags import parse_flags
from modules.web.app import create_app
from modules.web.compose import build_context
from modules.web.context import AppContext
from tests.jobs.conftest import Painter
from tests.web.conftest import SMALL

Open = Callable[..., tuple[AppContext, TestClient]]


@pytest.fixture
def open_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Starts the application with the given flags and its data below ``tmp_path``."""
    monkeypatch.setattr("modules.web.compose.LocalBackend", lambda *_, **__: Painter())
    with ExitStack() as stack:

        def start(*flags: str) -> tuple[AppContext, TestClient]:
            data = str(tmp_path / "data")
            context = build_context(
                parse_flags(["--data-dir", data, "--no-hashing", "--nowebui", *flags])
            )
            context.jobs.start(load_first=False)
            client = TestClient(create_app(context), base_url="http://127.0.0.1:7860")
            return context, stack.enter_context(client)

        yield start


def staying(**settings: object) -> dict[str, object]:
    return {
        **SMALL,
        "override_settings": settings,
        "override_settings_restore_afterwards": False,
    }


def test_overrides_that_stay_are_in_force_but_not_in_the_file(open_app):
    context, client = open_app()
    assert client.post("/sdapi/v1/txt2img", json=staying(jpeg_quality=55)).status_code == 200
    assert client.get("/sdapi/v1/options").json()["jpeg_quality"] == 55
    assert not context.paths.config_file.exists()


def test_overrides_that_stay_name_the_checkpoint_as_the_settings_do(open_app):
    context, client = open_app()
    info = context.catalog.checkpoints()[0]
    body = staying(sd_model_checkpoint=info.model_name)
    assert client.post("/sdapi/v1/txt2img", json=body).status_code == 200
    assert context.options["sd_model_checkpoint"] == info.title


def test_overrides_cannot_stay_where_settings_are_frozen(open_app):
    context, client = open_app("--freeze-settings")
    answer = client.post("/sdapi/v1/txt2img", json=staying(jpeg_quality=55))
    assert answer.status_code == 422
    assert "frozen" in answer.json()["errors"]
    assert context.options["jpeg_quality"] == 80
    assert context.jobs.recent() == []
    for_once = {**SMALL, "override_settings": {"jpeg_quality": 55}}
    assert client.post("/sdapi/v1/txt2img", json=for_once).status_code == 200


def test_pictures_in_a_folder_of_their_own_request_are_answered_and_shown(open_app, tmp_path):
    context, client = open_app()
    folder = tmp_path / "elsewhere"
    body = {**SMALL, "save_images": True, "override_settings": {"outdir_samples": str(folder)}}
    answer = client.post("/sdapi/v1/txt2img", json=body)
    assert answer.status_code == 200
    assert len(answer.json()["images"]) == 1
    image = context.jobs.recent(1)[0].pictures()[0]
    assert Path(image.path).is_relative_to(folder)
    assert client.get(f"/image/{image.id}").status_code == 200


def test_pictures_stay_visible_when_the_output_folder_changes(open_app, tmp_path):
    context, client = open_app()
    settings = "/sdapi/v1/options"
    for name in ("first", "second"):
        changed = client.post(settings, json={"outdir_samples": str(tmp_path / name)})
        assert changed.status_code == 200
        client.post("/sdapi/v1/txt2img", json={**SMALL, "save_images": True})
    for record in context.jobs.recent():
        assert client.get(f"/image/{record.pictures()[0].id}").status_code == 200


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG with the header of a picture of this size, and no more."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + crc


@pytest.mark.parametrize("size", [(64, 64), (60_000, 60_000)])
def test_a_damaged_or_huge_picture_has_no_thumbnail(open_app, size):
    context, client = open_app()
    client.post("/sdapi/v1/txt2img", json={**SMALL, "save_images": True})
    image = context.jobs.recent(1)[0].pictures()[0]
    Path(image.path).write_bytes(png_that_claims(*size))
    answer = client.get(f"/image/{image.id}/thumb")
    assert answer.status_code == 404
    assert "picture" in answer.json()["detail"]


def test_styles_in_an_infotext_are_taken_out_as_the_setting_says(open_app):
    context, client = open_app()
    style = {"prompt": "{prompt}, by the sea", "negative_prompt": ""}
    assert client.put("/easel/v1/styles/Sea", json=style).status_code == 200
    context.options.set_many({"infotext_styles": "Apply"})
    text = "a pear, by the sea\nSteps: 3, Sampler: Euler, Size: 64x64, Seed: 5"
    found = client.post("/easel/v1/image-info", json={"text": text}).json()
    assert (found["fields"]["prompt"], found["fields"]["styles"]) == ("a pear", ["Sea"])
    answer = client.post("/sdapi/v1/txt2img", json={"infotext": text}).json()
    assert (answer["parameters"]["prompt"], answer["parameters"]["styles"]) == ("a pear", ["Sea"])
    assert json.loads(answer["info"])["prompt"] == "a pear, by the sea"


def test_an_infotext_of_another_program_is_understood_too(open_app):
    _, client = open_app()
    facts = {"steps": 3, "seed": 5, "scale": 7, "width": 64, "height": 64, "uc": "blurry"}
    text = json.dumps({"prompt": "a pear", "sampler": "k_euler", **facts})
    answer = client.post("/sdapi/v1/txt2img", json={"infotext": text})
    assert answer.status_code == 200
    parameters = answer.json()["parameters"]
    assert (parameters["prompt"], parameters["negative_prompt"]) == ("a pear", "blurry")
    assert (parameters["steps"], parameters["seed"]) == (3, 5)


def test_lists_that_the_program_knows_are_offered_as_choices(open_app):
    _, client = open_app()
    groups = client.get("/easel/v1/settings").json()["groups"]
    rows = {row["key"]: row["choices"] for group in groups for row in group["options"]}
    assert "Euler a" in rows["hide_samplers"]
    assert "PNG Info" in rows["hidden_tabs"]
