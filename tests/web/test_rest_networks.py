"""Extra networks through the API: lists with reasons, and prompts that use them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from modules.catalog import safetensors_header
from tests.catalog.files import write_header, write_tensors
from tests.conftest import ROOT

STARTER = ROOT / "models" / "Stable-diffusion" / "easel-starter"
SMALL = {"steps": 2, "width": 64, "height": 64, "seed": 3, "cfg_scale": 5}


def starter_layer() -> tuple[str, int, int]:
    """A layer of the shipped model's UNet: path, outputs, inputs."""
    (file,) = (STARTER / "unet").glob("*.safetensors")
    for name, entry in safetensors_header(file).tensors.items():
        if name.endswith("attn2.to_q.weight"):
            return name.removesuffix(".weight"), *entry.shape
    raise AssertionError("no attention")


@pytest.fixture(scope="module")
def networks(server) -> Path:
    """A LoRA for the shipped model, and embeddings of two widths, in the running server's data."""
    data = server.data_dir
    path, outputs, inputs = starter_layer()
    generator = np.random.default_rng(0)
    header, blob = {}, b""
    for part, shape in (("up", (outputs, 4)), ("down", (4, inputs))):
        values = generator.normal(size=shape).astype(np.float32).tobytes()
        span = [len(blob), len(blob) + len(values)]
        name = f"lora_unet_{path.replace('.', '_')}.lora_{part}.weight"
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": span}
        blob += values
    header["__metadata__"] = {"ss_output_name": "strong look", "ss_tags": '{"a": 1}'}
    write_header(data / "models" / "Lora" / "look.safetensors", header, blob)
    width = json.loads((STARTER / "text_encoder" / "config.json").read_text())["hidden_size"]
    write_tensors(data / "embeddings" / "fits.safetensors", {"emb_params": (2, width)}, "F32")
    write_tensors(data / "embeddings" / "broad.safetensors", {"emb_params": (1, 2 * width)})
    yield data
    for file in ("models/Lora/look", "embeddings/fits", "embeddings/broad"):
        (data / f"{file}.safetensors").unlink()


def test_lists_tell_what_can_be_used_and_why_the_rest_cannot(client, networks):
    assert client.post("/sdapi/v1/refresh-loras").status == 200
    (lora,) = client.get("/sdapi/v1/loras").json()
    assert set(lora) == {"name", "alias", "path", "metadata"}
    assert (lora["name"], lora["alias"]) == ("look", "strong look")
    assert lora["metadata"]["ss_tags"] == {"a": 1}
    found = client.get("/sdapi/v1/embeddings").json()
    keys = {"step", "sd_checkpoint", "sd_checkpoint_name", "shape", "vectors"}
    assert set(found["loaded"]["fits"]) == keys
    assert set(found["skipped"]) == {"broad"}
    assert "the checkpoint's text encoder of" in found["skipped"]["broad"]["reason"]


def test_a_prompt_with_networks_makes_another_picture_and_says_which(client, networks):
    def make(prompt):
        answer = client.post("/sdapi/v1/txt2img", {**SMALL, "prompt": prompt}).json()
        return answer["images"][0], json.loads(answer["info"])["infotexts"][0]

    bare, _ = make("a red apple")
    with_lora, text = make("a red apple <lora:strong look:1>")
    assert with_lora != bare
    assert 'Lora hashes: "strong look: ' in text
    with_word, text = make("a fits apple")
    assert 'TI hashes: "fits: ' in text
    assert with_word != bare
    again, text = make("a red apple")
    assert again == bare
    assert "hashes" not in text


def test_a_prompt_with_unknown_networks_is_made_without_them(client, networks):
    job = client.finished(client.submit(prompt="a red apple <lora:nowhere:1>"))
    assert job["state"] == "done"
    assert "Networks not found: nowhere." in json.dumps(job)
