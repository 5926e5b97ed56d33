"""Lists, settings and small routes in A1111's shapes."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_samplers_and_schedulers_have_a1111s_names_and_shapes(client):
    samplers = client.get("/sdapi/v1/samplers").json()
    assert len(samplers) == 20
    assert samplers[0]["name"] == "DPM++ 2M"
    assert all(set(row) == {"name", "aliases", "options"} for row in samplers)
    assert samplers[0]["options"]["scheduler"] == "karras"
    schedulers = client.get("/sdapi/v1/schedulers").json()
    assert schedulers[0]["name"] == "automatic"
    keys = {"name", "label", "aliases", "default_rho", "need_inner_model"}
    assert all(set(row) == keys for row in schedulers)


def test_models_are_listed_with_hash_and_title(client):
    (model, *_) = client.get("/sdapi/v1/sd-models").json()
    assert set(model) == {"title", "model_name", "hash", "sha256", "filename", "config"}
    assert model["model_name"] == "easel-starter"


def test_upscalers_begin_with_none(client):
    names = [row["name"] for row in client.get("/sdapi/v1/upscalers").json()]
    assert names[:3] == ["None", "Lanczos", "Nearest"]
    modes = client.get("/sdapi/v1/latent-upscale-modes").json()
    assert modes[0] == {"name": "Latent"}
    assert len(modes) == 6


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("sd-vae", []),
        ("hypernetworks", []),
        ("prompt-styles", []),
        ("loras", []),
        ("extensions", []),
        ("embeddings", {"loaded": {}, "skipped": {}}),
    ],
)
def test_lists_that_are_still_empty_have_the_right_shape(client, path, shape):
    assert client.get(f"/sdapi/v1/{path}").json() == shape


@pytest.mark.parametrize("name", ["checkpoints", "vae", "embeddings", "loras"])
def test_refreshing_answers_null(client, name):
    answer = client.post(f"/sdapi/v1/refresh-{name}")
    assert (answer.status, answer.body) == (200, b"null")


def test_memory_tells_of_main_memory_and_that_there_is_no_gpu(client):
    memory = client.get("/sdapi/v1/memory").json()
    assert memory["ram"]["total"] > memory["ram"]["used"] > 0
    assert memory["cuda"] == {"error": "unavailable"} or "system" in memory["cuda"]


def test_the_command_line_is_shown_without_secrets(client):
    flags = client.get("/sdapi/v1/cmd-flags").json()
    assert flags["port"] == client.port
    assert not {"api_auth", "gradio_auth", "tls_keyfile"} & set(flags)


def test_options_can_be_read_changed_and_posted_back_whole(client):
    options = client.get("/sdapi/v1/options").json()
    assert options["samples_format"] == "png"
    assert options["sd_model_checkpoint"].startswith("easel-starter")
    assert "forge_preset" not in options
    answer = client.post("/sdapi/v1/options", {**options, "jpeg_quality": 91, "nobody": 1})
    assert (answer.status, answer.body) == (200, b"null")
    assert client.get("/sdapi/v1/options").json()["jpeg_quality"] == 91
    client.post("/sdapi/v1/options", {"jpeg_quality": options["jpeg_quality"]})


def test_a_bad_setting_is_refused_and_nothing_changes(client):
    before = client.get("/sdapi/v1/options").json()
    for bad in (
        {"jpeg_quality": 80, "CLIP_stop_at_last_layers": 99},
        {"sd_model_checkpoint": "nobody.safetensors"},
        {"sd_vae": "nobody.safetensors"},
        {"samples_format": "exe"},
        {"outdir_samples": str(ROOT / "modules")},
    ):
        answer = client.post("/sdapi/v1/options", bad)
        assert 400 <= answer.status < 500
        assert any(key in answer.json()["detail"] for key in bad)
    assert client.get("/sdapi/v1/options").json() == before


def test_the_checkpoint_can_be_put_away_and_comes_back(client, server):
    assert client.post("/sdapi/v1/unload-checkpoint").json() == {}
    assert client.get("/internal/ready").status == 503
    assert client.post("/sdapi/v1/reload-checkpoint").json() == {}
    assert client.get("/internal/ready").status == 200


def test_models_in_memory_are_told_and_nothing_is_cancelled_when_nothing_loads(client, server):
    current = client.get("/easel/v1/models").json()["current"]
    assert current["resident"][-1] == current["title"]
    assert client.post("/easel/v1/models/cancel").json() == {"done": False}
    assert client.post("/easel/v1/models/unload").json()["resident"] == []
    client.post("/easel/v1/models/reload")
    client.rested()
    assert client.get("/easel/v1/models").json()["current"]["title"] == current["title"]


def test_internal_routes_answer_as_a1111s_page_expects(client):
    assert client.get("/internal/ping").json() == {}
    idle = client.post("/internal/progress", {"id_task": "nobody"}).json()
    assert (idle["active"], idle["queued"], idle["completed"]) == (False, False, False)
    assert set(client.get("/internal/pending-tasks").json()) == {"size", "tasks"}
    hints = client.get("/internal/quicksettings-hint").json()
    assert {"name": "sd_vae", "label": "SD VAE"} in hints
    info = client.get("/internal/sysinfo")
    assert info.json()["Packages"]["gradio"]
    assert str(info.body).count("password") == 0


def test_the_api_is_described_for_people_and_programs(client):
    docs = client.get("/docs")
    assert docs.status == 200
    assert b"/sdapi/v1/txt2img" in docs.body
    assert b"http" not in docs.body.replace(b"http-equiv", b"")
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/sdapi/v1/txt2img", "/sdapi/v1/options", "/internal/ping"} <= set(paths)


def test_png_info_reads_a_picture_and_refuses_what_is_none(client):
    from tests.web.conftest import SMALL

    picture = client.post("/sdapi/v1/txt2img", SMALL).json()["images"][0]
    for text in (picture, "data:image/png;base64," + picture):
        found = client.post("/sdapi/v1/png-info", {"image": text}).json()
        assert found["info"].startswith("a red apple\nSteps: 3")
        assert (found["parameters"]["Seed"], found["parameters"]["Size-1"]) == ("5", "64")
        assert found["parameters"]["Clip skip"] == "1"
    for bad in ("", "????", "aGVsbG8=", "http://127.0.0.1/x.png", "file:///etc/passwd"):
        answer = client.post("/sdapi/v1/png-info", {"image": bad})
        assert 400 <= answer.status < 500
        assert answer.json()["field"] == "image"
    assert client.post("/sdapi/v1/png-info", {}).status == 422


def test_upscalers_begin_with_the_three_that_need_no_model(client):
    rows = client.get("/sdapi/v1/upscalers").json()
    assert [row["name"] for row in rows[:3]] == ["None", "Lanczos", "Nearest"]
    assert all(
        set(row) == {"name", "model_name", "model_path", "model_url", "scale"} for row in rows
    )
    assert {row["model_url"] for row in rows} == {None}
    assert "R-ESRGAN 4x+" in [row["name"] for row in rows]


def test_restorers_and_real_esrgan_models(client):
    assert all(
        set(row) == {"name", "cmd_dir"} for row in client.get("/sdapi/v1/face-restorers").json()
    )
    rows = client.get("/sdapi/v1/realesrgan-models").json()
    assert all(set(row) == {"name", "path", "scale"} for row in rows)
    shipped = next(row for row in rows if row["name"] == "R-ESRGAN 4x+")
    assert Path(shipped["path"]).is_file()


def test_latent_upscale_modes_are_a1111s(client):
    names = [row["name"] for row in client.get("/sdapi/v1/latent-upscale-modes").json()]
    assert names[0] == "Latent"
    assert len(names) == 6


def test_scripts_are_listed_where_they_work_with_their_controls(client):
    scripts = client.get("/sdapi/v1/scripts").json()
    ours = ["outpainting mk2", "poor man's outpainting", "soft inpainting"]
    assert scripts["img2img"][:3] == ours
    assert {"x/y/z plot", "loopback", "sd upscale"} <= set(scripts["img2img"])
    assert {"x/y/z plot", "prompt matrix"} <= set(scripts["txt2img"])
    assert not {"loopback", *ours} & set(scripts["txt2img"])
    rows = client.get("/sdapi/v1/script-info").json()
    assert {row["name"] for row in rows} == {*scripts["img2img"], *scripts["txt2img"]}
    pixels = rows[0]["args"][1]
    assert (pixels["label"], pixels["value"], pixels["maximum"]) == ("Pixels to expand", 128, 256)
