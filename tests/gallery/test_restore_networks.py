"""What a picture's text says of LoRA and hypernetworks, in the terms of this installation."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from modules.gallery import parse, to_request
from modules.gallery.restore_networks import lora_hashes, with_networks

HASH = "0123456789ab"


def find(hashes: Iterable[str]) -> dict[str, str]:
    return {digest: "local name" for digest in hashes if digest == HASH}


def test_a_lora_gets_the_name_that_its_file_has_here() -> None:
    values = {"Lora hashes": f"ink: {HASH}, oil: ffffffffffff"}
    prompt = "a fox <lora:ink:0.7> <lora:oil:1> <lyco:ink:te=1:unet=0.5>"
    assert with_networks(prompt, values, find) == (
        "a fox <lora:local name:0.7> <lora:oil:1> <lyco:local name:te=1:unet=0.5>"
    )
    assert with_networks(prompt, values, None) == prompt
    assert with_networks(prompt, {}, find) == prompt


def test_names_with_signs_that_lists_cannot_hold_are_found() -> None:
    values = {"Lora hashes": f"inkwash v2: {HASH}"}
    assert with_networks("<lora:ink,wash v2:1>", values, find) == "<lora:local name:1>"


@pytest.mark.parametrize("text", ["", "x", "a: b: c", ",,,", "name: not-a-hash", ": 0123456789ab"])
def test_odd_lists_of_hashes_are_no_harm(text: str) -> None:
    assert lora_hashes({"Lora hashes": text}) == {}


def test_a_hypernetwork_of_old_pictures_becomes_a_tag() -> None:
    values = {"Hypernet": "sharp", "Hypernet strength": "0.6"}
    assert with_networks("a fox", values, None) == "a fox<hypernet:sharp:0.6>"
    assert with_networks("a fox", {"Hypernet": "sharp"}, None) == "a fox<hypernet:sharp:1.0>"
    there = "a fox <hypernet:sharp:1>"
    assert with_networks(there, values, None) == there
    assert with_networks("a fox", {"Hypernet": "None"}, None) == "a fox"


def test_loras_of_additional_networks_become_tags() -> None:
    values = {
        "AddNet Enabled": "True",
        "AddNet Module 1": "LoRA",
        "AddNet Model 1": "ink(1a2b3c4d)",
        "AddNet Weight A 1": "0.8",
        "AddNet Module 2": "Other",
        "AddNet Model 2": "no",
    }
    assert with_networks("a fox", values, None) == "a fox\n<lora:ink:0.8>"


def test_a_pasted_text_brings_the_tags_into_the_prompt() -> None:
    text = (
        "a fox <lora:ink:0.7>\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64, "
        f'Hypernet: sharp, Lora hashes: "ink: {HASH}", TI hashes: "word: abcdefabcdef"'
    )
    found = to_request(parse(text), {}, find_loras=find)
    assert found.fields["prompt"] == "a fox <lora:local name:0.7><hypernet:sharp:1.0>"
    assert not {"Hypernet", "Lora hashes", "TI hashes"} & set(found.unknown)
    assert not any("hypernetwork" in note for note in found.notes)
