"""Other programs' descriptions."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modules.gallery import parse_any, to_request

COMFY = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            **{"seed": 8566257, "steps": 20, "cfg": 8, "sampler_name": "dpmpp_2m_sde_gpu"},
            **{"scheduler": "karras", "denoise": 1.0, "model": ["10", 0], "positive": ["6", 0]},
            **{"negative": ["7", 0], "latent_image": ["5", 0]},
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd/v1-5.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 640, "height": 512}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["20", 0], "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "watermark", "clip": ["4", 1]}},
    "10": {
        "class_type": "LoraLoader",
        "inputs": {"lora_name": "ink.safetensors", "strength_model": 0.7, "model": ["4", 0]},
    },
    "20": {"class_type": "PrimitiveString", "inputs": {"value": "a glass bottle"}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
}


def fields(text: str) -> dict[str, Any]:
    return to_request(parse_any(text)).fields


def test_a_comfyui_graph_gives_its_main_sampler() -> None:
    parsed = parse_any(json.dumps(COMFY))
    assert parsed.dialect == "comfyui"
    found = to_request(parsed)
    assert found.fields == {
        "prompt": "a glass bottle <lora:ink:0.7>",
        "negative_prompt": "watermark",
        **{"steps": 20, "cfg_scale": 8.0, "seed": 8566257, "width": 640, "height": 512},
        **{"sampler_name": "DPM++ 2M SDE", "scheduler": "Karras"},
    }
    assert found.override_settings["sd_model_checkpoint"] == "v1-5"
    assert found.notes


def test_of_two_comfyui_samplers_the_first_one_counts() -> None:
    graph = json.loads(json.dumps(COMFY))
    graph["1"] = {**graph["3"], "inputs": {**graph["3"]["inputs"], "latent_image": ["3", 0]}}
    graph["1"]["inputs"]["denoise"] = 0.5
    graph["1"]["inputs"]["steps"] = 9
    assert fields(json.dumps(graph))["steps"] == 20


def test_a_comfyui_graph_that_runs_in_circles_is_read() -> None:
    graph = json.loads(json.dumps(COMFY))
    graph["10"]["inputs"]["model"] = ["10", 0]
    graph["6"]["inputs"]["text"] = ["6", 0]
    assert fields(json.dumps(graph))["steps"] == 20


def test_invokeai() -> None:
    text = json.dumps(
        {
            **{"app_version": "6.1.0", "positive_prompt": "a fox", "negative_prompt": "bad"},
            **{"width": 768, "height": 512, "seed": 5, "cfg_scale": 7.5, "steps": 25},
            **{"scheduler": "dpmpp_2m_k", "model": {"name": "dreamy", "hash": "blake3:1"}},
            "loras": [{"model": {"name": "ink"}, "weight": 0.5}],
        }
    )
    assert fields(text) == {
        "prompt": "a fox <lora:ink:0.5>",
        "negative_prompt": "bad",
        **{"steps": 25, "cfg_scale": 7.5, "seed": 5, "width": 768, "height": 512},
        **{"sampler_name": "DPM++ 2M", "scheduler": "Automatic"},
    }


def test_old_invokeai() -> None:
    image = {"prompt": [{"prompt": "a fox [ugly]", "weight": 1}], "steps": 30, "seed": 4}
    image |= {"sampler": "k_euler_a", "cfg_scale": 7, "width": 512, "height": 512}
    found = fields(json.dumps({"image": image, "model_hash": "a" * 64}))
    assert (found["prompt"], found["negative_prompt"]) == ("a fox", "ugly")
    assert found["sampler_name"] == "Euler a"


def test_fooocus_json() -> None:
    text = json.dumps(
        {
            **{"prompt": "a fox", "negative_prompt": "", "base_model": "jugger.safetensors"},
            **{"base_model_hash": "abcdef0123", "guidance_scale": 4.0, "sampler": "euler"},
            **{"scheduler": "karras", "seed": "7", "steps": 30, "resolution": "(1152, 896)"},
            "metadata_scheme": "fooocus",
        }
    )
    found = to_request(parse_any(text))
    assert found.fields["width"] == 1152
    assert found.fields["sampler_name"] == "Euler"
    assert found.override_settings["sd_model_checkpoint"] == "abcdef0123"


def test_fooocus_in_a1111s_form_uses_the_raw_prompt() -> None:
    text = (
        "cinematic still a fox, film grain\nNegative prompt: anime\n"
        "Steps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 7, Size: 1152x896, CFG scale: 4, "
        'Sharpness: 2, Raw prompt: "a fox", Version: Fooocus v2.5.5'
    )
    parsed = parse_any(text)
    assert (parsed.dialect, parsed.prompt) == ("fooocus", "a fox")


def test_novelai() -> None:
    text = json.dumps(
        {
            "prompt": "a fox",
            "uc": "lowres",
            "steps": 28,
            "sampler": "k_euler_ancestral",
            "scale": 11.0,
            "seed": 9,
        }
    )
    found = to_request(parse_any(text))
    assert found.fields["sampler_name"] == "Euler a"
    assert found.fields["cfg_scale"] == 11.0
    assert found.override_settings == {"CLIP_stop_at_last_layers": 2, "eta_noise_seed_delta": 31337}


def test_sdnext_hires_keys_are_translated() -> None:
    text = (
        "a fox\nSteps: 20, Size: 512x512, Sampler: Euler a, Seed: 1, CFG scale: 6, "
        "App: SD.Next, Version: abc, Hires scale: 2, Hires strength: 0.3, Hires upscaler: Latent"
    )
    found = fields(text)
    assert parse_any(text).dialect == "sdnext"
    assert (found["hr_scale"], found["denoising_strength"], found["enable_hr"]) == (2.0, 0.3, True)


def test_civitai_flux_images_do_not_bring_a_false_cfg_scale() -> None:
    text = (
        "a fox\nSteps: 28, CFG scale: 3.5, Sampler: Undefined, Seed: 1, Size: 832x1216, "
        'Clip skip: 2, Created Date: 2024-10-01, Civitai resources: [{"type":"checkpoint"}]'
    )
    found = to_request(parse_any(text))
    assert found.fields["cfg_scale"] == 1.0
    assert "CLIP_stop_at_last_layers" not in found.override_settings
    assert found.fields["distilled_cfg_scale"] == 3.5


def test_stable_diffusion_cpp() -> None:
    text = (
        "a fox\nSteps: 20, CFG scale: 7.000000, Seed: 42, Size: 512x512, Model: v1-5.ckpt, "
        "RNG: cuda, Sampler: euler_a, Version: stable-diffusion.cpp"
    )
    found = to_request(parse_any(text))
    assert found.fields["sampler_name"] == "Euler a"
    assert found.override_settings == {"randn_source": "NV", "sd_model_checkpoint": "v1-5"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "class_type",
                        "inputs",
                        "prompt",
                        "positive_prompt",
                        "model",
                        "image",
                        "loras",
                    ),
                    *("uc", "sampler", "steps", "base_model", "resolution", "seed", "latent_image"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=3) | st.just("prompt"), JSON, max_size=4) | JSON)
def test_any_json_is_read_without_raising(value: Any) -> None:
    found = to_request(parse_any(json.dumps(value)), {})
    assert isinstance(found.fields, dict)


@given(
    st.dictionaries(
        st.sampled_from(["1", "2", "3"]),
        st.fixed_dictionaries(
            {
                "class_type": st.sampled_from(["KSampler", "CLIPTextEncode", "EmptyLatentImage"]),
                "inputs": st.dictionaries(
                    st.sampled_from(["positive", "latent_image", "text", "model", "steps"]),
                    st.lists(st.sampled_from(["1", "2", "3", 0]), min_size=2, max_size=2)
                    | st.text(),
                ),
            }
        ),
        min_size=1,
    )
)
def test_any_comfyui_graph_is_read_without_raising(graph: dict[str, Any]) -> None:
    assert parse_any(json.dumps(graph)).dialect == "comfyui"


def test_deep_json_is_no_problem() -> None:
    assert parse_any("[" * 100_000).dialect == ""
    assert parse_any('{"a":' * 100_000).dialect == ""
