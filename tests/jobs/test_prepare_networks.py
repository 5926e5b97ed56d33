"""Extra networks of a job: files for the names in its prompts, and those the settings add."""

from __future__ import annotations

import pytest

from modules.settings.paths import Paths
from tests.catalog.files import write_tensors
from tests.jobs.conftest import ask

LORA = {"lora_unet_x.lora_down.weight": (4, 8), "lora_unet_x.lora_up.weight": (8, 4)}


@pytest.fixture
def preparer(make_service, paths: Paths):
    write_tensors(paths.lora / "ink.safetensors", LORA, metadata={"ss_output_name": "drawing"})
    write_tensors(paths.embeddings / "bad hands.safetensors", {"emb_params": (2, 768)})
    return make_service(start=False).preparer


def prepare(preparer, **fields):
    return preparer.prepare(ask(**fields), "id", "ui")


def test_names_in_prompts_become_files(preparer, paths):
    job = prepare(
        preparer,
        prompt="a fox <lora:ink:0.5> <lyco:drawing:1> <lora:gone:1>",
        negative_prompt="(bad hands:1.2) <lora:ink:1>",
    )
    file = {"path": str(paths.lora / "ink.safetensors")}
    assert job.resources["loras"] == {"ink": file, "drawing": file}
    path = str(paths.embeddings / "bad hands.safetensors")
    assert job.resources["embeddings"] == [{"name": "bad hands", "path": path}]
    assert job.all_prompts == ["a fox <lora:ink:0.5> <lyco:drawing:1> <lora:gone:1>"]


def test_jobs_without_networks_carry_none(preparer):
    assert not {"loras", "hypernetworks", "embeddings"} & set(prepare(preparer).resources)


def test_networks_of_the_second_pass_are_found(preparer):
    job = prepare(preparer, enable_hr=True, hr_upscaler="Latent", hr_prompt="a fox <lora:ink:1>")
    assert set(job.resources["loras"]) == {"ink"}


def test_names_in_comments_are_not_meant(preparer):
    assert "loras" not in prepare(preparer, prompt="a fox # <lora:ink:1>").resources


def test_the_settings_add_a_network_once(preparer):
    wish = {"sd_lora": "ink", "extra_networks_default_multiplier": 0.7}
    added = prepare(preparer, prompt="a fox", override_settings=wish)
    assert added.all_prompts == ["a fox<lora:ink:0.7>"]
    assert set(added.resources["loras"]) == {"ink"}
    there = prepare(preparer, prompt="a fox <lora:ink:1>", override_settings=wish)
    assert there.all_prompts == ["a fox <lora:ink:1>"]
