"""The values of an axis as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.addons.scripts.values import MOST_VALUES, numbers, orders, split, whole_numbers
from modules.requests.errors import RequestError


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1, 2,3", [1, 2, 3]),
        ("1-5", [1, 2, 3, 4, 5]),
        ("5-1", [5, 4, 3, 2, 1]),
        ("1-5 (+2)", [1, 3, 5]),
        ("10-5 (-3)", [10, 7]),
        ("1-10 [5]", [1, 3, 5, 7, 10]),
        ("-1", [-1]),
        ("-3--1", [-3, -2, -1]),
        ("1-3, 10", [1, 2, 3, 10]),
        ("7,\n8", [7, 8]),
        ("", []),
        ("1-10 [1]", [1]),
    ],
)
def test_whole_numbers(text, values):
    assert whole_numbers(text) == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.5, 1", [0.5, 1.0]),
        ("1-2 (+0.5)", [1.0, 1.5, 2.0]),
        ("0-1 [3]", [0.0, 0.5, 1.0]),
        ("0-1 [4]", [0.0, 0.3333333333, 0.6666666667, 1.0]),
        ("0.1-0.4 (0.1)", [0.1, 0.2, 0.3, 0.4]),
        ("-0.5", [-0.5]),
        (".5", [0.5]),
    ],
)
def test_numbers(text, values):
    assert numbers(text) == values


def test_texts_with_commas_are_quoted():
    assert split('cat, "a dog, a fox" ,  bird') == ["cat", "a dog, a fox", "bird"]


def test_all_orders_of_the_parts():
    assert orders("a, b") == [("a", "b"), ("b", "a")]


@pytest.mark.parametrize("read", [whole_numbers, numbers])
@pytest.mark.parametrize(
    "text", ["x", "1-x", "1-5 (0)", "nan", "1e999", "1-1000000", "1-2 [99999]", "0-9 [5] [6]"]
)
def test_what_is_no_number_is_refused_with_what_is_allowed(read, text):
    with pytest.raises(RequestError) as refusal:
        read(text)
    assert refusal.value.field == "script_args"


def test_too_many_orders_are_refused():
    with pytest.raises(RequestError):
        orders("a,b,c,d,e,f,g")


@given(st.text(max_size=200))
def test_any_text_gives_values_or_one_sentence(text):
    for read in (split, whole_numbers, numbers, orders):
        try:
            assert len(read(text)) <= MOST_VALUES
        except RequestError as refusal:
            assert refusal.sentence


@given(st.integers(-500, 500), st.integers(-500, 500))
def test_a_range_has_both_ends_and_every_number_between(first, last):
    found = whole_numbers(f"{first}-{last}")

    assert (found[0], found[-1]) == (first, last)
    assert sorted(found) == list(range(min(first, last), max(first, last) + 1))
