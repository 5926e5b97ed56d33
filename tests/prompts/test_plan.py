"""The whole prompt: comments, extra networks, AND, warnings with positions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts import ExtraNetwork, parse_prompt, strip_comments
from modules.prompts.composition import MAX_PARTS

ANY = st.text(max_size=80) | st.text(
    alphabet="ab ()[]{}<>:=.1|\\#AND_BREAK\n\x00\ud800", max_size=80
)


def parts(text: str, **options: object) -> list[tuple[str, float]]:
    plan = parse_prompt(text, 20, **options)
    return [(part.schedule[0].text, part.weight) for part in plan.parts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a :1.2 AND b:0.5 AND c", [("a", 1.2), (" b", 0.5), (" c", 1.0)]),
        ("(a AND b)", [("(a", 1.0), (" b)", 1.0)]),
        ("a:1.5 b AND c", [("a:1.5 b", 1.0), (" c", 1.0)]),
        ("a AND b:-1", [("a", 1.0), (" b", -1.0)]),
        ("sand AND ANDES and x", [("sand", 1.0), (" ANDES and x", 1.0)]),
        ("a:1.5", [("a:1.5", 1.0)]),
        ("", [("", 1.0)]),
    ],
)
def test_and_vectors_are_read_like_a1111(text: str, expected: list[tuple[str, float]]) -> None:
    assert parts(text) == expected


@given(
    st.lists(
        st.tuples(st.text("abc ", min_size=1, max_size=5), st.sampled_from([0.5, 1.0, -2.0, 1.25])),
        min_size=2,
        max_size=6,
    )
)
def test_every_side_of_and_keeps_its_weight(sides: list[tuple[str, float]]) -> None:
    text = " AND ".join(f"x{body}y:{weight}" for body, weight in sides)
    assert [weight for _, weight in parts(text)] == [weight for _, weight in sides]
    assert [body.strip() for body, _ in parts(text)] == [f"x{body}y" for body, _ in sides]


def test_a_negative_prompt_is_not_split_and_keeps_its_angle_brackets() -> None:
    plan = parse_prompt("a AND b <lora:x:1>", 20, negative=True)
    assert len(plan.parts) == 1
    assert plan.parts[0].schedule[0].text == "a AND b <lora:x:1>"
    assert [(w.code, w.start) for w in plan.warnings] == [("network_in_negative", 8)]


def test_too_many_parts_become_one_text() -> None:
    plan = parse_prompt(" AND ".join("x" * 200), 20)
    assert len(plan.parts) == MAX_PARTS
    assert "too_many_parts" in {warning.code for warning in plan.warnings}


def test_extra_networks_are_cut_out_with_their_arguments() -> None:
    plan = parse_prompt("a <lora:My File:0.8:te=0.5:unet = 1> b <hypernet:h>", 20)
    assert plan.extra_networks == (
        ExtraNetwork("lora", "My File", ("0.8",), {"te": "0.5", "unet": "1"}),
        ExtraNetwork("hypernet", "h"),
    )
    assert plan.texts() == ("a  b ",)


def test_an_unknown_network_is_dropped_with_a_warning() -> None:
    plan = parse_prompt("a <foo:bar> b", 20)
    assert plan.extra_networks == ()
    assert [(w.code, w.start, w.end) for w in plan.warnings] == [("unknown_network", 2, 11)]
    assert plan.texts() == ("a  b",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a # b", "a "),
        ("a # b\nc", "a \nc"),
        ("a\n# b\nc", "a\nc"),
        ("# all", ""),
        ("a\n# b", "a"),
        (r"a \# b", r"a \# b"),
        ("a\n#1\n#2\nb", "a\nb"),
        ("a\n#1\n#2", "a\n"),
        ("no comment", "no comment"),
    ],
)
def test_comments_go_to_the_end_of_the_line(text: str, expected: str) -> None:
    assert strip_comments(text) == expected


def test_positions_of_warnings_are_those_of_the_text_typed() -> None:
    text = "a # ( comment\n<lora:x:1> b <lora:y:1> (c:1..2)"
    (warning,) = parse_prompt(text, 20).warnings
    assert text[warning.start : warning.end] == "1..2"


def test_positions_survive_the_split_at_and() -> None:
    text = "a AND b [c:d:1.0]"
    (warning,) = parse_prompt(text, 20).warnings
    assert text[warning.start : warning.end] == "[c:d:1.0]"


def test_control_characters_are_replaced_with_a_warning() -> None:
    plan = parse_prompt("a\x00b\ud800c", 20)
    assert plan.texts() == ("a b c",)
    assert [w.code for w in plan.warnings] == ["control_character"]


def test_schedule_is_read_before_the_attention_brackets_are() -> None:
    assert parse_prompt("([a:b:5]:1.2)", 20).texts() == ("(a:1.2)", "(b:1.2)")


@given(ANY, st.integers(-3, 60))
def test_no_text_ever_raises(text: str, steps: int) -> None:
    plan = parse_prompt(text, steps)
    negative = parse_prompt(text, steps, negative=True)
    second = parse_prompt(text, steps, hires_steps=7)
    assert plan.parts and len(negative.parts) == 1 and second.parts[0].schedule[-1].end_step == 7
    for warning in (*plan.warnings, *negative.warnings):
        assert 0 <= warning.start <= warning.end <= len(text)
        assert warning.message and warning.code


@given(st.text(alphabet=st.characters(blacklist_characters="#<[\x00", codec="utf-8"), max_size=60))
def test_plain_text_comes_back_unchanged(text: str) -> None:
    text = text.replace("AND", "and")
    assert parse_prompt(text, 20).texts() == (text,)


@pytest.mark.parametrize("piece", ["<a:", "<lora:x:1>", "a AND ", "#\n", "# x", " ", "\\#", "a:1 "])
def test_work_grows_linearly(piece: str) -> None:
    once, twice = (parse_prompt(piece * count, 20).work for count in (2000, 4000))
    assert twice <= 2.2 * once + 2000
