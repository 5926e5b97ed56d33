"""Prompt editing and alternation over the steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts.plan import PromptPlan, parse_prompt
from modules.prompts.schedule import MAX_VISITS

LANGUAGE = st.text(alphabet="ab ()[]:.15|\\AND\n", max_size=80)


def entries(text: str, steps: int = 20, **options: object) -> list[tuple[int, str]]:
    (part,) = parse_prompt(text, steps, **options).parts
    return [(entry.end_step, entry.text) for entry in part.schedule]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a [cat:dog:0.5]", [(10, "a cat"), (20, "a dog")]),
        ("a [cat:dog:1]", [(1, "a cat"), (20, "a dog")]),
        ("a [cat:dog:1.0]", [(20, "a cat")]),
        ("a [cat:dog:0]", [(20, "a dog")]),
        ("[a:b:-0.5]", [(20, "b")]),
        ("a [cat:dog:25]", [(20, "a cat")]),
        ("[cat : dog : 0.5]", [(10, "cat "), (20, " dog ")]),
        ("[a:b]", [(20, "[a:b]")]),
        ("[a]", [(20, "[a]")]),
        ("[[a:b:5]:c:10]", [(5, "a"), (10, "b"), (20, "c")]),
        ("x[to:5]", [(5, "x"), (20, "xto")]),
        ("x[from::5]", [(5, "xfrom"), (20, "x")]),
        ("[(a:1.2):(b):0.25]", [(5, "(a:1.2)"), (20, "(b)")]),
        (r"[a\:b:c:5]", [(5, r"a\:b"), (20, "c")]),
        ("(a [b:c:5]", [(5, "(a b"), (20, "(a c")]),
        ("[a:b:5", [(20, "[a:b:5")]),
        ("x | y", [(20, "x | y")]),
    ],
)
def test_a1111_vectors_are_read_alike(text: str, expected: list[tuple[int, str]]) -> None:
    assert entries(text) == expected


def test_alternation_changes_every_step_and_starts_with_the_first() -> None:
    assert entries("[a|b|c]", 4) == [(1, "a"), (2, "b"), (3, "c"), (4, "a")]


def test_alternation_may_have_an_empty_option() -> None:
    assert entries("[fe|]male", 3) == [(1, "female"), (2, "male"), (3, "female")]


def test_alternation_nests_in_a_switch() -> None:
    assert entries("[[a|b]:c:2]", 5) == [(1, "a"), (2, "b"), (5, "c")]


def test_alternations_of_different_length_keep_their_own_pace() -> None:
    texts = [text for _, text in entries("[a|b][x|y|z]", 7)]
    assert texts == ["ax", "by", "az", "bx", "ay", "bz", "ax"]


def test_equal_neighbours_are_joined() -> None:
    assert entries("[a|a|b]", 6) == [(2, "a"), (3, "b"), (5, "a"), (6, "b")]


def test_second_pass_counts_fractions_from_one_and_steps_from_the_first_pass() -> None:
    assert entries("[cat:dog:1.5]", 20, hires_steps=10) == [(5, "cat"), (10, "dog")]
    assert entries("[cat:dog:25]", 20, hires_steps=10) == [(5, "cat"), (10, "dog")]
    assert entries("[cat:dog:0.5]", 20, hires_steps=10) == [(10, "dog")]


def test_old_scheduling_reads_numbers_below_one_as_fractions_in_both_passes() -> None:
    assert entries("[a:b:1.0]", 20, old_scheduling=True) == [(1, "a"), (20, "b")]
    assert entries("[a:b:.5]", 20, old_scheduling=True) == [(10, "a"), (20, "b")]
    second = entries("[a:b:.5]", 20, hires_steps=10, old_scheduling=True)
    assert second == [(5, "a"), (10, "b")]


def test_a_switch_that_never_comes_is_pointed_at() -> None:
    plan = parse_prompt("x [a:b:1.0]", 20)
    assert [(w.code, w.start, w.end) for w in plan.warnings] == [("schedule_never", 2, 11)]


def test_too_many_parts_stay_text_with_a_warning() -> None:
    assert entries("[a:b:c:5]") == [(20, "[a:b:c:5]")]
    assert parse_prompt("[a:b:c:5]", 20).warnings[0].code == "schedule_parts"


def test_colon_in_an_alternation_is_text_with_a_warning() -> None:
    assert entries("[a:b|c]", 2) == [(1, "a:b"), (2, "c")]
    assert parse_prompt("[a:b|c]", 2).warnings[0].code == "mixed_alternation"


def test_a_huge_time_does_not_overflow() -> None:
    assert entries("[a:b:1e999]") == [(20, "a")]
    assert entries("[a:b:" + "9" * 500 + "]") == [(20, "a")]


def covers_every_step(plan: PromptPlan, steps: int) -> bool:
    for part in plan.parts:
        ends = [entry.end_step for entry in part.schedule]
        if ends != sorted(set(ends)) or ends[0] < 1 or ends[-1] != steps:
            return False
    return True


@given(LANGUAGE, st.integers(1, 40))
def test_any_text_covers_every_step_exactly_once(text: str, steps: int) -> None:
    plan = parse_prompt(text, steps)
    assert covers_every_step(plan, steps)
    for part in plan.parts:
        pairs = zip(part.schedule, part.schedule[1:], strict=False)
        assert all(a.text != b.text for a, b in pairs)


@given(st.text(alphabet=st.characters(blacklist_characters="[#<\x00", codec="utf-8"), max_size=60))
def test_text_without_square_brackets_comes_back_unchanged(text: str) -> None:
    assert " AND " in text or entries(text.replace("AND", "and")) == [
        (20, text.replace("AND", "and"))
    ]


@given(st.integers(0, 30), st.integers(1, 30))
def test_whole_numbers_switch_after_that_step(when: int, steps: int) -> None:
    (part,) = parse_prompt(f"[a:b:{when}]", steps).parts
    assert [part.at(step) for step in range(1, steps + 1)] == [
        "a" if step <= when else "b" for step in range(1, steps + 1)
    ]


@pytest.mark.parametrize(
    "piece", ["[", "(", "[a|b]", "[a:b:5]", "([:|", "[a|", "]", "[a|b|c|d|e|f|g]", "[[a:1]:b:2]"]
)
def test_work_grows_linearly(piece: str) -> None:
    once, twice = (parse_prompt(piece * count, 20).work for count in (500, 1000))
    assert twice <= 2.2 * once + 2000


def test_a_prompt_that_would_explode_is_limited_with_a_warning() -> None:
    text = "".join(f"[a{'|b' * (number % 97)}]" for number in range(2_000))
    plan = parse_prompt(text, 150)
    assert covers_every_step(plan, 150)
    assert plan.work < 2 * MAX_VISITS + 20 * len(text)
    assert "schedule_limited" in {warning.code for warning in plan.warnings}


def test_a_hundred_thousand_brackets_are_no_problem() -> None:
    for text in ("[" * 100_000, "(" * 100_000, "[" * 50_000 + "]" * 50_000, "[a|" * 33_000):
        assert covers_every_step(parse_prompt(text, 20), 20)
