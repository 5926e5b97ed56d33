"""Writing and reading A1111's parameters text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.gallery.infotext import compose, parse, parse_parameters, quote
from modules.gallery.parameters import image_infotext

CORE = {"Steps": 20, "Sampler": "Euler a", "CFG scale": 7, "Seed": 1, "Size": "512x768"}
WORDS = st.text(alphabet=st.characters(codec="utf-8", blacklist_characters="\x00\r"), max_size=40)
PROMPTS = (
    WORDS
    | st.text(alphabet='ab:, \n"Negative prompt:Steps', max_size=60)
    | st.sampled_from(
        [
            "Negative prompt: x",
            "a\nNegative prompt: b\nc",
            "Steps: 1, Sampler: b, Seed: 3, Size: 1x1",
            "a\nSteps: 1, Sampler: b, CFG scale: 3",
            "",
        ]
    )
)


def test_the_text_has_a1111s_shape() -> None:
    assert compose("a cat\nsitting", "bad", CORE) == (
        "a cat\nsitting\nNegative prompt: bad\n"
        "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x768"
    )


def test_an_empty_negative_prompt_has_no_line() -> None:
    assert compose("a", "", {"Steps": 1}) == "a\nSteps: 1"
    assert compose("", "", {"Steps": 1}) == "Steps: 1"


def test_fixed_keys_keep_their_order_and_none_is_left_out() -> None:
    text = compose(
        "", "", {"Version": "v1", "Eta": 1, "RNG": "CPU", "Seed": 2, "Steps": 3, "X": None}
    )
    assert text == "Steps: 3, Seed: 2, RNG: CPU, Eta: 1, Version: v1"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        ("a, b", '"a, b"'),
        ("a: b", '"a: b"'),
        ('a "b", c', '"a \\"b\\", c"'),
        ("two\nlines", '"two\\nlines"'),
        ("日本, x", '"日本, x"'),
        ('"quoted"', '"\\"quoted\\""'),
        ("", '""'),
        (7, "7"),
        (0.5, "0.5"),
        (True, "True"),
    ],
)
def test_values_are_quoted_when_they_could_be_misread(value: Any, written: str) -> None:
    assert quote(value) == written
    assert parse_parameters(f"Key one: {quote(value)}, Other: 1") == {
        "Key one": str(value),
        "Other": "1",
    }


def test_one_letter_keys_and_unusual_keys_are_read() -> None:
    line = 'A: 1, CFG Rescale φ: 0.5, ControlNet 0: "x: 1, y: 2", Hires (new): 3'
    assert parse_parameters(line) == {
        "A": "1",
        "CFG Rescale φ": "0.5",
        "ControlNet 0": "x: 1, y: 2",
        "Hires (new)": "3",
    }


def test_a_key_equal_to_its_value_is_written_once_and_read_back() -> None:
    text = compose("p", "", {**CORE, "Tagged": "Tagged"})
    assert text.endswith(", Tagged")
    assert parse(text).parameters["Tagged"] == "Tagged"


def test_text_without_parameters_is_all_prompt() -> None:
    parsed = parse("a cat\nNegative prompt: dog\nbird")
    assert (parsed.prompt, parsed.negative, parsed.parameters) == ("a cat", "dog\nbird", {})


def test_a_last_prompt_line_that_only_looks_like_parameters_stays_prompt() -> None:
    parsed = parse("scene: beach, light: low, style: ink")
    assert parsed.prompt == "scene: beach, light: low, style: ink"
    assert parsed.parameters == {}


def test_a_prompt_line_like_a_negative_prompt_is_guarded_for_us_and_harmless_for_others() -> None:
    text = compose("a\nNegative prompt: b", "c", CORE)
    assert text.startswith("a\nNegative prompt: b\nNegative prompt: c\nSteps: 20, ")
    parsed = parse(text)
    assert (parsed.prompt, parsed.negative) == ("a\nNegative prompt: b", "c")
    assert "Prompt lines" not in parsed.parameters


def test_ordinary_prompts_carry_no_guard() -> None:
    assert "Prompt lines" not in compose("a cat,\nb: c", "d", CORE)


def test_json_values_without_quotes_are_read_whole() -> None:
    line = 'Steps: 1, Civitai resources: [{"a":1,"b":"x, y"}], Seed: 2'
    assert parse_parameters(line)["Civitai resources"] == '[{"a":1,"b":"x, y"}]'
    assert parse_parameters(line)["Seed"] == "2"


@given(PROMPTS, PROMPTS)
def test_prompts_survive_the_round_trip(prompt: str, negative: str) -> None:
    parsed = parse(compose(prompt, negative, CORE))
    assert (parsed.prompt, parsed.negative) == (prompt.strip(), negative.strip())
    assert parsed.parameters == {key: str(value) for key, value in CORE.items()}


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z][A-Za-z0-9 /()-]{0,10}[A-Za-z0-9]", fullmatch=True),
        st.text(alphabet=st.characters(codec="utf-8", blacklist_characters="\x00"), max_size=30)
        | st.integers()
        | st.booleans(),
        max_size=8,
    )
)
def test_parameters_survive_the_round_trip(extra: dict[str, Any]) -> None:
    written = {**extra, **CORE}
    parsed = parse(compose("p", "n", written))
    assert parsed.parameters == {key: str(value) for key, value in written.items()}


@given(st.text(max_size=200) | st.text(alphabet='ab: ,"\\\n[]{}', max_size=200))
def test_reading_never_raises(text: str) -> None:
    parsed = parse(text)
    assert isinstance(parsed.prompt, str)


@pytest.mark.parametrize("piece", ['a: "', "a: b, ", '"', "a: [", ",", "[[", "a " * 50, 'a: {"'])
def test_hostile_lines_are_read_quickly(piece: str) -> None:
    parse((piece * 100_000)[:200_000])


def test_an_image_carries_what_made_it(
    facts: dict[str, Any], request_fields: dict[str, Any], options: dict[str, Any]
) -> None:
    text = image_infotext(facts, request_fields, {**options, "randn_source": "GPU"}, version="v9")
    assert text == (
        "a cat, (sharp:1.2)\nNegative prompt: blurry\n"
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 1234, "
        "Size: 64x48, Model hash: 0123456789, Model: easel-starter, Eta: 0.5, Version: v9"
    )


def test_everything_that_is_not_default_is_written_in_order(
    facts: dict[str, Any], request_fields: dict[str, Any], options: dict[str, Any]
) -> None:
    facts |= {"vae_name": "x.safetensors", "vae_hash": "abc", "clip_skip": 2}
    facts["sampler_name"] = "Euler a"
    request_fields |= {"subseed_strength": 0.1, "tiling": True}
    request_fields |= {"seed_resize_from_w": 512, "seed_resize_from_h": 768}
    options |= {"randn_source": "NV", "eta_noise_seed_delta": 31337, "add_user_name_to_info": True}
    text = image_infotext(
        facts,
        request_fields,
        options,
        templates=["a {cat|dog}", "blurry"],
        version="v1",
        user="me",
    )
    assert list(parse(text).parameters) == [
        *("Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model hash"),
        *("Model", "VAE hash", "VAE", "Variation seed", "Variation seed strength"),
        *("Seed resize from", "Clip skip", "ENSD", "RNG", "Tiling", "Eta", "Template"),
        *("Version", "User"),
    ]
    assert parse(text).parameters["Template"] == "a {cat|dog}"


def test_unipc_settings_are_written(
    facts: dict[str, Any], request_fields: dict[str, Any], options: dict[str, Any]
) -> None:
    facts["sampler_name"] = "UniPC"
    options |= {"uni_pc_order": 2, "uni_pc_lower_order_final": False}
    parameters = parse(image_infotext(facts, request_fields, options)).parameters
    assert parameters["UniPC order"] == "2"
    assert parameters["UniPC lower order final"] == "False"


def test_model_and_version_can_be_left_out(
    facts: dict[str, Any], request_fields: dict[str, Any], options: dict[str, Any]
) -> None:
    options |= {"add_model_name_to_info": False, "add_model_hash_to_info": False}
    options |= {"add_version_to_infotext": False}
    parameters = parse(image_infotext(facts, request_fields, options, version="v1")).parameters
    assert not {"Model", "Model hash", "Version"} & set(parameters)
