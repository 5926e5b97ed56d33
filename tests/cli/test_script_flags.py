"""Scripts on the command line."""

from __future__ import annotations

import pytest

from modules.cli.arguments import build_parser, check, to_requests


def asked(*words):
    parsed = build_parser().parse_args(["--prompt", "a cat", *words])
    check(parsed)
    return to_requests(parsed, {})[0]


def test_a_script_and_its_values_go_into_the_request():
    request = asked("--script", "X/Y/Z plot", "--script-args", '["Steps", "4, 8", []]')

    assert request.script_name == "X/Y/Z plot"
    assert request.script_args == ["Steps", "4, 8", []]
    assert asked("--script", "Prompt matrix").script_args == []
    assert asked().script_name is None


@pytest.mark.parametrize(
    "words",
    [
        ("--script-args", "[1]"),
        ("--script", "x", "--script-args", "{}"),
        ("--script", "x", "--script-args", "[1"),
        ("--script", "x", "--script-args", "[" * 100_000),
    ],
)
def test_values_that_are_no_list_are_refused(words):
    with pytest.raises(ValueError, match="--script-args"):
        asked(*words)
