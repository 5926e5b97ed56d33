"""Attention brackets, escapes and BREAK."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts.attention import MAX_DEPTH, parse_attention, scan_attention

LANGUAGE = st.text(alphabet="ab ,()[]:.1-|\\BREAK\n{}<>#_", max_size=80)


def read(text: str) -> list[object]:
    return [
        "BREAK" if segment.is_break else (segment.text, round(segment.weight, 4))
        for segment in parse_attention(text)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", [("plain", 1)]),
        ("", [("", 1)]),
        ("(a)", [("a", 1.1)]),
        ("((x))", [("x", 1.21)]),
        ("(((x)))", [("x", 1.331)]),
        ("[x]", [("x", 0.9091)]),
        ("[[x]]", [("x", 0.8264)]),
        ("[a:1.3]", [("a:1.3", 0.9091)]),
        ("red (car: 1.5 )", [("red ", 1), ("car", 1.5)]),
        ("(a:-0.5)", [("a", -0.5)]),
        ("(a:+2)", [("a", 2)]),
        ("(a:.5)", [("a", 0.5)]),
        ("((a:1.2) b)", [("a", 1.32), (" b", 1.1)]),
        ("(a:1.3", [("a:1.3", 1.1)]),
        ("a:1.5", [("a:1.5", 1)]),
        ("(a:b:1.2)", [("a:b", 1.2)]),
        ("(a,b:1.1)(c:1.1)", [("a,bc", 1.1)]),
        ("(a (b:1.5) c:0.8)", [("a ", 0.8), ("b", 1.2), (" c", 0.8)]),
        ("a BREAK b", [("a", 1), "BREAK", ("b", 1)]),
        ("aBREAKb", [("aBREAKb", 1)]),
        ("break", [("break", 1)]),
        (r"\(a\) \[b\] \\", [("(a) [b] \\", 1)]),
        (r"a\b", [("ab", 1)]),
        ("a)b]", [("a)b]", 1)]),
        ("(a [b) c]", [("a ", 1.1), ("b", 1), (" c", 0.9091)]),
        ("x:1.2)", [("x:1.2)", 1)]),
    ],
)
def test_a1111_vectors_are_read_alike(text: str, expected: list[object]) -> None:
    assert read(text) == expected


def test_a_number_with_two_dots_is_read_with_a_warning() -> None:
    scan = scan_attention("(a:1..2)")
    assert [(s.text, s.weight) for s in scan.segments] == [("a", 1.2)]
    (warning,) = scan.warnings
    assert (warning.code, warning.start, warning.end) == ("bad_number", 3, 7)
    assert "1..2" in warning.message


def test_dots_without_a_digit_stay_text_with_the_plain_weight() -> None:
    scan = scan_attention("(wait:...)")
    assert [(s.text, s.weight) for s in scan.segments] == [("wait:...", 1.1)]
    assert [w.code for w in scan.warnings] == ["no_number"]


def test_break_inside_a_weight_still_breaks_and_says_so() -> None:
    scan = scan_attention("(a BREAK b:1.2)")
    assert read("(a BREAK b:1.2)") == [("a", 1.2), "BREAK", ("b", 1.2)]
    assert [(w.code, w.start, w.end) for w in scan.warnings] == [("break_in_brackets", 3, 8)]


def test_unclosed_and_stray_brackets_are_pointed_at() -> None:
    warnings = {(w.code, w.start) for w in scan_attention("a) (b [c").warnings}
    assert warnings == {("stray_bracket", 1), ("unclosed_bracket", 3), ("unclosed_bracket", 6)}


def test_brackets_deeper_than_the_limit_have_no_effect_but_pair_up() -> None:
    depth = MAX_DEPTH + 50
    scan = scan_attention("(" * depth + "a:2" + ")" * depth + " b")
    assert [s.text for s in scan.segments] == ["a", " b"]
    assert scan.segments[1].weight == 1.0
    assert [w.code for w in scan.warnings] == ["too_deep"]


def test_enormous_weights_are_limited() -> None:
    scan = scan_attention("(a:" + "9" * 400 + ")")
    assert scan.segments[0].weight == 1e4
    assert [w.code for w in scan.warnings] == ["weight_limited"]


@given(LANGUAGE | st.text(max_size=60))
def test_any_text_parses_into_finite_weights(text: str) -> None:
    segments = parse_attention(text)
    assert segments
    assert all(math.isfinite(segment.weight) for segment in segments)
    neighbours = itertools.pairwise(segments)
    assert all(a.weight != b.weight or a.is_break or b.is_break for a, b in neighbours)


@given(st.text(alphabet=st.characters(blacklist_characters="()[]\\:", codec="utf-8"), max_size=60))
def test_text_without_signs_comes_back_unchanged(text: str) -> None:
    joined = "".join(s.text for s in parse_attention(text) if not s.is_break)
    assert joined == text or "BREAK" in text


@given(st.text(max_size=60))
def test_escaped_text_comes_back_unchanged_with_weight_one(text: str) -> None:
    escaped = "".join("\\" + sign if sign in "()[]\\" else sign for sign in text)
    if "BREAK" not in text:
        assert [(s.text, s.weight) for s in parse_attention(escaped)] == [(text, 1.0)]


@given(st.lists(st.sampled_from([0.5, 1.25, 2.0, -1.0, 0.8]), min_size=1, max_size=8))
def test_nested_weights_multiply(weights: list[float]) -> None:
    text = "(" * len(weights) + "x" + "".join(f":{weight})" for weight in weights)
    (segment,) = parse_attention(text)
    assert segment.text == "x"
    assert segment.weight == pytest.approx(math.prod(weights))


@pytest.mark.parametrize("piece", ["(", "[", "(a:1.1)", ":1", "([)]", "BREAK ", "\\", ":1.1)"])
def test_work_grows_linearly(piece: str) -> None:
    once, twice = (scan_attention(piece * count).work for count in (2000, 4000))
    assert twice <= 2.2 * once + 200


def test_crossing_brackets_cost_at_most_the_depth_per_sign() -> None:
    text = ("(" * 50 + "[" * 50 + ")" * 50 + "]" * 50) * 20
    assert scan_attention(text).work < 60 * len(text)
