"""Merging and converting over HTTP with the real engine: results appear in the lists at once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.tiny_models import tiny_sd

MERGE, CONVERT = "/easel/v1/merge", "/easel/v1/convert"
MODELS = {"primary_model_name": "rest-apple", "secondary_model_name": "rest-pear"}


@pytest.fixture(scope="module")
def folder(server):
    """Two small checkpoints in the server's folder, one of them in torch's own format."""
    found = server.data_dir / "models" / "Stable-diffusion"
    made = [tiny_sd(found, layout="single", name=f"rest-{n}", seed=n == "pear") for n in NAMES]
    torch.save({"state_dict": load_file(made[1])}, found / "rest-old.ckpt")
    server.post("/sdapi/v1/refresh-checkpoints")
    yield found
    for path in found.glob("rest-*"):
        path.unlink()
    server.post("/sdapi/v1/refresh-checkpoints")


NAMES = ("apple", "pear")


def titles(client):
    return [info["title"] for info in client.get("/sdapi/v1/sd-models").json()]


def test_a_merge_is_the_formula_and_is_listed_with_its_hash(client, folder):
    body = {**MODELS, "multiplier": 0.25, "custom_name": "rest-mix", "wait": True}
    answer = client.post(MERGE, body)
    assert answer.status == 200, answer.body
    job = answer.json()
    assert (job["kind"], job["state"], job["result"]["name"]) == (
        "merge",
        "done",
        "rest-mix.safetensors",
    )
    file = Path(job["result"]["path"])
    assert file == folder / "rest-mix.safetensors"
    a, b = (load_file(folder / f"rest-{name}.safetensors") for name in NAMES)
    key = "model.diffusion_model.out.2.weight"
    wanted = (0.75 * a[key].float() + 0.25 * b[key].float()).half()
    assert torch.equal(load_file(file)[key], wanted)
    short = hashlib.sha256(file.read_bytes()).hexdigest()[:10]
    assert f"rest-mix.safetensors [{short}]" in titles(client)
    metadata = client.get("/easel/v1/merge/metadata?model=rest-mix").json()["metadata"]
    assert json.loads(metadata["sd_merge_recipe"])["multiplier"] == 0.25


def test_a_ckpt_is_listed_and_converted(client, folder):
    assert any(title.startswith("rest-old.ckpt") for title in titles(client))
    body = {"model_name": "rest-old.ckpt", "custom_name": "rest-new", "dtype": "fp32"}
    answer = client.post(CONVERT, {**body, "wait": True})
    assert answer.status == 200, answer.body
    made = load_file(folder / "rest-new.safetensors")
    assert {value.dtype for value in made.values()} >= {torch.float32}


def test_a_merge_can_be_queued_through_the_pages_door(client, folder):
    body = {"kind": "merge", **MODELS, "custom_name": "rest-queued"}
    answer = client.post("/easel/v1/jobs", body)
    assert answer.status == 200, answer.body
    done = client.finished(answer.json()["id"])
    assert done["state"] == "done" and done["result"]["facts"]["mixed"] > 100
    assert (folder / "rest-queued.safetensors").is_file()


def test_an_interrupted_merge_leaves_nothing(client, folder):
    rows = torch.zeros(4000, 4, 40, 40)
    state = {"model.diffusion_model.input_blocks.0.0.weight": rows}
    for name in ("rest-big-a", "rest-big-b"):
        save_file(state, str(folder / f"{name}.safetensors"))
    client.post("/sdapi/v1/refresh-checkpoints")
    body = {
        "kind": "merge",
        "primary_model_name": "rest-big-a",
        "secondary_model_name": "rest-big-b",
        "custom_name": "rest-never",
    }
    job = client.post("/easel/v1/jobs", body).json()["id"]
    client.post(f"/easel/v1/jobs/{job}/cancel")
    assert client.finished(job)["state"] in ("interrupted", "cancelled")
    assert not list(folder.glob("*rest-never*")) and not list(folder.glob(".*part"))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "primary_model_name"),
        ({"primary_model_name": "rest-apple"}, "secondary_model_name"),
        ({**MODELS, "custom_name": "../up"}, "custom_name"),
        ({**MODELS, "bake_in_vae": "nothing.pt"}, "bake_in_vae"),
        ({**MODELS, "primary_model_name": "/etc/passwd"}, "primary_model_name"),
    ],
)
def test_what_cannot_be_merged_is_told_in_one_sentence(client, folder, body, field):
    answer = client.post(MERGE, body)
    assert answer.status == 422 and answer.json()["field"] == field


@pytest.mark.parametrize(
    "body",
    [
        {**MODELS, "multiplier": 3},
        {**MODELS, "block_weights": "a,b"},
        {**MODELS, "block_weights": [1e9]},
        {**MODELS, "metadata_json": "[1]"},
        {**MODELS, "interp_method": "Magic"},
        {**MODELS, "config_source": "Z"},
    ],
)
def test_values_out_of_range_are_refused(client, folder, body):
    assert client.post(MERGE, body).status == 422


def test_the_form_hears_how_many_blocks_a_model_has(client, folder):
    found = client.get("/easel/v1/merge/blocks?model=rest-apple").json()
    assert found["count"] == len(found["labels"]) == len(found["presets"]["GRAD_V"])
    assert found["labels"][0] == "IN00" and "M00" in found["labels"]
    assert client.get("/easel/v1/merge/blocks").json()["count"] == 0
