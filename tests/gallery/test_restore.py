"""From text back to a request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.gallery import a1111_parameters, compose, image_infotext, parse, to_request
from modules.gallery.obstacles import CANNOT
from modules.prompts import Style, StyleBook
from modules.requests.generation import GenerationRequest
from modules.settings.tables import build_table

A1111 = """a cat, [dog:bird:0.5]
Negative prompt: blurry
Steps: 30, Sampler: DPM++ 2M Karras, CFG scale: 6.5, Seed: 42, Size: 512x768, \
Model hash: 0123456789, Model: some, Variation seed: 7, Variation seed strength: 0.2, \
Seed resize from: 256x384, Denoising strength: 0.6, Clip skip: 2, ENSD: 31337, RNG: CPU, \
Hires upscale: 1.5, Hires steps: 10, Hires upscaler: Latent, Beta schedule alpha: 0.5, \
Sigma churn: 3, Odd key: value, Version: v1.10.1"""


def test_an_a1111_text_becomes_a_request() -> None:
    found = to_request(parse(A1111))
    assert found.fields == {
        "prompt": "a cat, [dog:bird:0.5]",
        "negative_prompt": "blurry",
        "steps": 30,
        "sampler_name": "DPM++ 2M",
        "scheduler": "Automatic",
        "cfg_scale": 6.5,
        "seed": 42,
        "width": 512,
        "height": 768,
        "subseed": 7,
        "subseed_strength": 0.2,
        "seed_resize_from_w": 256,
        "seed_resize_from_h": 384,
        "denoising_strength": 0.6,
        "enable_hr": True,
        "hr_scale": 1.5,
        "hr_second_pass_steps": 10,
        "hr_upscaler": "Latent",
    }
    assert found.override_settings == {
        "sd_model_checkpoint": "0123456789",
        "CLIP_stop_at_last_layers": 2,
        "eta_noise_seed_delta": 31337,
        "randn_source": "CPU",
        "beta_dist_alpha": 0.5,
        "s_churn": 3,
    }
    assert found.unknown == {"Odd key": "value"}
    assert GenerationRequest.model_validate(found.fields).steps == 30


@pytest.mark.parametrize("spelling", ["Beta schedule alpha", "Beta scheduler alpha"])
def test_both_spellings_of_the_beta_schedule_are_read(spelling: str) -> None:
    text = f"a\nSteps: 1, Sampler: Euler, Seed: 1, {spelling}: 0.4"
    assert to_request(parse(text)).override_settings == {"beta_dist_alpha": 0.4}


def test_only_settings_that_differ_are_overridden(options: dict[str, Any]) -> None:
    options |= {"CLIP_stop_at_last_layers": 2, "randn_source": "CPU", "s_churn": 3.0}
    found = to_request(parse(A1111), options, with_checkpoint=False).override_settings
    assert found == {"eta_noise_seed_delta": 31337, "beta_dist_alpha": 0.5}


def test_what_a_text_leaves_out_is_set_back_to_its_default(options: dict[str, Any]) -> None:
    options |= {"CLIP_stop_at_last_layers": 2, "randn_source": "NV", "emphasis": "Ignore"}
    text = "(a)\nSteps: 1, Sampler: Euler, Seed: 1, Version: v1.10.1"
    assert to_request(parse(text), options).override_settings == {
        "CLIP_stop_at_last_layers": 1,
        "randn_source": "GPU",
        "emphasis": "Original",
    }


def test_the_loaded_checkpoint_is_not_overridden(options: dict[str, Any]) -> None:
    options["sd_model_checkpoint"] = "some.safetensors [0123456789]"
    assert "sd_model_checkpoint" not in to_request(parse(A1111), options).override_settings


def test_old_versions_bring_their_old_behaviour(options: dict[str, Any]) -> None:
    old = A1111.replace("v1.10.1", "v1.5.2")
    assert to_request(parse(old)).override_settings["use_old_scheduling"] is True
    assert "use_old_scheduling" not in to_request(parse(A1111)).override_settings
    asked_not_to = {**options, "auto_backcompat": False}
    assert "use_old_scheduling" not in to_request(parse(old), asked_not_to).override_settings


@pytest.mark.parametrize(
    ("sampler", "schedule", "expected"),
    [
        ("Euler a", "", ("Euler a", "Automatic")),
        ("DPM++ 2M", "Karras", ("DPM++ 2M", "Automatic")),
        ("DPM++ 2M", "Exponential", ("DPM++ 2M", "Exponential")),
        ("Euler Karras", "", ("Euler", "Karras")),
        ("euler_ancestral", "karras", ("Euler a", "Karras")),
        ("dpmpp_2m_sde_gpu", "simple", ("DPM++ 2M SDE", "Simple")),
        ("k_lms", "", ("LMS", "Automatic")),
        ("euler_a", "", ("Euler a", "Automatic")),
        ("DDIM", "", ("DDIM", "Automatic")),
    ],
)
def test_sampler_names_of_all_programs_are_understood(
    sampler: str, schedule: str, expected: tuple[str, str]
) -> None:
    line = f"Steps: 1, Sampler: {sampler}, Seed: 1" + (
        f", Schedule type: {schedule}" * bool(schedule)
    )
    fields = to_request(parse("a\n" + line)).fields
    assert (fields["sampler_name"], fields["scheduler"]) == expected


def test_an_unknown_sampler_is_left_out_with_a_note() -> None:
    found = to_request(parse("a\nSteps: 1, Sampler: Magic 9, Seed: 1"))
    assert "sampler_name" not in found.fields
    assert "Magic 9" in found.notes[0]


def test_values_that_are_no_numbers_are_left_out_with_a_note() -> None:
    found = to_request(
        parse("a\nSteps: many, Seed: nan, CFG scale: inf, Size: big, Sampler: Euler")
    )
    assert set(found.fields) == {"prompt", "negative_prompt", "sampler_name", "scheduler"}
    assert len([note for note in found.notes if CANNOT not in note]) == 4


def test_the_old_hires_form_is_turned_round() -> None:
    text = "a\nSteps: 1, Seed: 1, Size: 1024x768, First pass size: 512x384, Denoising strength: 0.7"
    fields = to_request(parse(text)).fields
    assert (fields["width"], fields["height"]) == (512, 384)
    assert (fields["hr_resize_x"], fields["hr_resize_y"]) == (1024, 768)
    assert fields["enable_hr"] is True


def test_large_seeds_keep_every_digit() -> None:
    found = to_request(parse("a\nSteps: 1, Seed: 9007199254740993, Sampler: Euler"))
    assert found.fields["seed"] == 9007199254740993


def test_the_template_is_what_comes_back_unless_wildcards_are_off() -> None:
    text = compose(
        "a cat", "", {"Steps": 1, "Seed": 1, "Sampler": "Euler", "Template": "a {cat|dog}"}
    )
    found = to_request(parse(text))
    assert (found.fields["prompt"], found.template) == ("a {cat|dog}", "a {cat|dog}")
    plain = to_request(parse(text), {**build_table().defaults(), "enable_wildcards": False})
    assert plain.fields["prompt"] == "a cat"


def test_our_own_images_restore_to_the_same_request(
    facts: dict[str, Any], request_fields: dict[str, Any], options: dict[str, Any]
) -> None:
    request_fields |= {"subseed_strength": 0.25, "tiling": True}
    request_fields |= {"seed_resize_from_w": 512, "seed_resize_from_h": 768}
    facts["extra"] = {"Eta": 0.5, "UniPC order": 2, "Beta schedule beta": 0.3}
    settings = {**options, "CLIP_stop_at_last_layers": 2, "eta_noise_seed_delta": 5}
    facts |= {"clip_skip": 2, "sampler_name": "Euler a", "schedule_label": "Beta"}
    found = to_request(parse(image_infotext(facts, request_fields, settings)), settings)
    expected = {
        **{"prompt": facts["prompt"], "negative_prompt": "blurry", "steps": 20, "seed": 1234},
        **{"sampler_name": "Euler a", "scheduler": "Beta", "cfg_scale": 7.0, "width": 64},
        **{"height": 48, "subseed": 99, "subseed_strength": 0.25, "tiling": True},
        **{"seed_resize_from_w": 512, "seed_resize_from_h": 768},
    }
    assert found.fields == expected
    assert found.override_settings == {
        "eta_ancestral": 0.5,
        "uni_pc_order": 2,
        "beta_dist_beta": 0.3,
        "sd_model_checkpoint": "0123456789",
    }


def test_styles_in_the_prompts_are_taken_out_as_the_setting_says(
    options: dict[str, Any], tmp_path: Path
) -> None:
    book = StyleBook(tmp_path / "styles.csv")
    book.save(Style("photo", "photo of {prompt}", "drawing"))
    parsed = parse("photo of a cat\nNegative prompt: bad, drawing\nSteps: 1, Seed: 1, CFG scale: 1")
    plain = {"prompt": "photo of a cat", "negative_prompt": "bad, drawing"}
    short = {"prompt": "a cat", "negative_prompt": "bad"}
    expected = {
        "Apply if any": {**short, "styles": ["photo"]},
        "Apply": {**short, "styles": ["photo"]},
        "Discard": short,
        "Ignore": plain,
    }
    for mode, fields in expected.items():
        found = to_request(parsed, {**options, "infotext_styles": mode}, styles=book).fields
        assert {key: found.get(key) for key in fields} == fields
        assert ("styles" in found) == ("styles" in fields)


def test_fields_can_be_left_out_by_a_setting(options: dict[str, Any]) -> None:
    options["infotext_skip_pasting"] = ["Seed", "Prompt"]
    fields = to_request(parse(A1111), options).fields
    assert "seed" not in fields
    assert "prompt" not in fields
    assert fields["steps"] == 30


def test_the_api_table_is_all_strings_with_sizes_split_and_defaults() -> None:
    table = a1111_parameters(parse(A1111))
    assert (table["Size-1"], table["Size-2"]) == ("512", "768")
    assert "Size" not in table
    assert (table["Prompt"], table["Negative prompt"]) == ("a cat, [dog:bird:0.5]", "blurry")
    assert table["Hires sampler"] == "Use same sampler"
    assert (table["Clip skip"], table["RNG"], table["Emphasis"]) == ("2", "CPU", "Original")
    assert all(isinstance(value, str) for value in table.values())


def test_the_api_table_of_nothing_has_no_defaults() -> None:
    assert a1111_parameters(parse("")) == {"Prompt": "", "Negative prompt": ""}


@given(
    st.text(max_size=80),
    st.dictionaries(
        st.sampled_from(
            [
                "Steps",
                "Seed",
                "Size",
                "Sampler",
                "Tiling",
                "Clip skip",
                "Mask mode",
                "Version",
                "Model",
                "Hires resize",
            ]
        ),
        st.text(max_size=12),
    ),
)
def test_restoring_never_raises(prompt: str, parameters: dict[str, str]) -> None:
    line = "Steps: 1, Sampler: Euler, CFG scale: 1"
    parsed = parse(compose(prompt, "", parameters) + ", " + line)
    found = to_request(parsed, {})
    assert isinstance(found.fields, dict)
    assert a1111_parameters(parsed)


GROUPS = {
    "soft_inpainting": (
        {"Soft inpainting enabled": True, "Soft inpainting schedule bias": 2.5},
        {"schedule_bias": 2.5, "preservation_strength": 0.5},
    ),
    "outpaint": (
        {"Outpaint": "tiled", "Outpaint left": 64, "Outpaint mask blur": 4, "Outpaint retries": 1},
        {"method": "tiled", "left": 64, "right": 0, "mask_blur": 4, "retries": 1},
    ),
    "detailer": (
        {"Detailer faces": 2, "Detailer strength": 0.3, "Detailer prompt": "a face, smiling"},
        {"strength": 0.3, "prompt": "a face, smiling", "padding": 32},
    ),
}


@pytest.mark.parametrize("name", GROUPS)
def test_groups_of_fields_come_back(name: str) -> None:
    written, wanted = GROUPS[name]
    text = compose("p", "", {"Steps": 3, "Sampler": "Euler", "Seed": 1, **written})
    found = to_request(parse(text))
    assert wanted.items() <= found.fields[name].items()
    assert found.unknown == {}


@pytest.mark.parametrize("name", GROUPS)
def test_impossible_values_leave_a_group_out_with_a_note(name: str) -> None:
    key, value = {
        "soft_inpainting": ("Soft inpainting schedule bias", "99"),
        "outpaint": ("Outpaint", "magic"),
        "detailer": ("Detailer strength", "7"),
    }[name]
    found = to_request(parse(f"p\nSteps: 3, Sampler: Euler, Seed: 1, {key}: {value}"))
    assert name not in found.fields
    assert any("left out" in note for note in found.notes)


def test_an_inpainted_picture_comes_back() -> None:
    text = compose(
        "p",
        "",
        {
            "Steps": 3,
            "Sampler": "Euler",
            "Seed": 1,
            "Denoising strength": 0.6,
            "Mask mode": "Inpaint not masked",
            "Mask blur": 3,
            "Inpaint area": "Only masked",
            "Masked area padding": 16,
            "Masked content": "latent noise",
            "Noise multiplier": 0.9,
            "Pixels changed outside the mask": 0,
        },
    )
    found = to_request(parse(text))
    wanted = {
        "denoising_strength": 0.6,
        "inpainting_mask_invert": 1,
        "mask_blur": 3,
        "inpaint_full_res": True,
        "inpaint_full_res_padding": 16,
        "inpainting_fill": 2,
    }
    assert wanted.items() <= found.fields.items()
    assert found.override_settings["initial_noise_multiplier"] == 0.9
    assert found.unknown == {}
    assert GenerationRequest.model_validate({**found.fields, "kind": "img2img"})
    assert any("mask" in note for note in found.notes)


def test_a_second_pass_comes_back() -> None:
    text = compose(
        "p",
        "",
        {
            "Steps": 3,
            "Sampler": "Euler",
            "Seed": 1,
            "Size": "64x64",
            "Denoising strength": 0.6,
            "Hires sampler": "Euler a",
            "Hires schedule type": "Karras",
            "Hires prompt": "q, r",
            "Hires upscale": 1.5,
            "Hires steps": 2,
            "Hires upscaler": "Latent",
            "Hires CFG Scale": 4,
            "Hires Distilled CFG Scale": 2.5,
            "unCLIP noise level": 30,
            "Refiner": "easel [0123456789]",
            "Refiner switch at": 0.8,
        },
    )
    found = to_request(parse(text)).fields
    wanted = {
        "enable_hr": True,
        "hr_scale": 1.5,
        "hr_second_pass_steps": 2,
        "hr_cfg": 4,
        "hr_distilled_cfg": 2.5,
        "noise_level": 30,
        "hr_upscaler": "Latent",
        "hr_sampler_name": "Euler a",
        "hr_scheduler": "Karras",
        "hr_prompt": "q, r",
        "refiner_checkpoint": "easel [0123456789]",
        "refiner_switch_at": 0.8,
    }
    assert wanted.items() <= found.items()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Denoising strength: 0.5, RNG: CPU", "picture it was made from"),
        ("Mask blur: 4, RNG: CPU", "the mask"),
        ("ControlNet 0: x, RNG: CPU", "ControlNet"),
        ("Script: X/Y/Z plot, RNG: CPU", "X/Y/Z plot"),
        ("Module 1: clip_l, Version: f2.0.1", "text encoders"),
        ("Version: v1.10.1", "graphics card"),
    ],
)
def test_what_cannot_be_repeated_is_said_with_the_reason(text: str, reason: str) -> None:
    found = to_request(parse(f"p\nSteps: 3, Sampler: Euler, Seed: 1, {text}"))
    assert any(note.startswith(CANNOT) and reason in note for note in found.notes)


def test_our_own_picture_has_no_obstacles() -> None:
    found = to_request(parse("p\nSteps: 3, Sampler: Euler, Seed: 1, Version: easel 0.1"))
    assert found.notes == ()
