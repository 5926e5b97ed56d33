"""Infotexts and graphs that are made to be slow: time grows with their length, and no faster."""

from __future__ import annotations

import json
import time

import pytest

from modules.gallery import compose, parse_any, to_request
from modules.gallery.comfyui import MAX_SAMPLERS

LENGTH = 300_000
SECONDS = 6.0
"""Of processor time; a usual machine takes a tenth, a reader that is not linear hours."""

LINES = {
    "keys": "a: b, ",
    "quotes": 'a: "b',
    "escapes": 'a: "\\',
    "lists": "a: [1, ",
    "objects": 'a: {"b": ',
    "braces": "a: {b, ",
    "brackets": "[",
    "negatives": "\nNegative prompt: ",
    "steps": "Steps: 1, ",
    "loras": "<lora:a:1>, ",
    "hashes": 'Lora hashes: "a: b, ',
    "numbers": "9",
    "newlines": "\n",
    "colons": ":",
    "blanks": " ",
}


def read(text: str) -> float:
    """Processor time of reading a text, filling a request from it and writing it again."""
    begin = time.process_time()
    parsed = parse_any(text)
    to_request(parsed)
    compose(parsed.prompt, parsed.negative, parsed.parameters)
    return time.process_time() - begin


@pytest.mark.parametrize("name", LINES)
def test_long_infotexts_are_read_at_once(name: str) -> None:
    text = (LINES[name] * LENGTH)[:LENGTH]
    assert read(f"a cat\nNegative prompt: b\nSteps: 20, Sampler: Euler, {text}") < SECONDS


@pytest.mark.parametrize("name", ["quotes", "lists", "brackets", "newlines"])
def test_a_text_that_is_nothing_else_is_read_at_once(name: str) -> None:
    assert read((LINES[name] * LENGTH)[:LENGTH]) < SECONDS


def test_a_graph_in_which_everything_leads_everywhere_is_read_at_once() -> None:
    links = {f"k{number}": [str(number), 0] for number in range(100)}
    nodes = {
        str(number): {"class_type": "KSampler", "inputs": {"latent_image": ["0", 0], **links}}
        for number in range(20 * MAX_SAMPLERS)
    }
    assert read(json.dumps(nodes)) < SECONDS


def test_a_node_of_twenty_thousand_inputs_is_read_at_once() -> None:
    inputs = {str(number): ["3", 0] for number in range(20_000)}
    graph = {
        "1": {"class_type": "KSampler", "inputs": {"latent_image": ["2", 0], "steps": 7}},
        "2": {"class_type": "x", "inputs": inputs},
    }
    assert read(json.dumps(graph)) < SECONDS
    assert parse_any(json.dumps(graph)).parameters["Steps"] == "7"


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 100_000, '{"a": ' + "9" * 100_000 + "}"])
def test_json_that_is_a_bomb_is_no_graph(text: str) -> None:
    assert read(text) < SECONDS
