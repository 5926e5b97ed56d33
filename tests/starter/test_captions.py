"""Captions, names and plurals of the starter model's training data."""

from __future__ import annotations

import random

import pytest

from tools.starter.captions import caption, captions_of, plural, wide_caption, with_article
from tools.starter.concepts import read_vocabulary
from tools.starter.config import BACKGROUNDS


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("strawberry", "strawberries"),
        ("monkey", "monkeys"),
        ("bus", "buses"),
        ("fox", "foxes"),
        ("tropical fish", "tropical fish"),
        ("mouse", "mice"),
        ("computer mouse", "computer mice"),
        ("slice of pizza", "slices of pizza"),
        ("face with sunglasses", "faces with sunglasses"),
        ("tomato", "tomatoes"),
    ],
)
def test_plurals_are_those_a_person_writes(one: str, many: str) -> None:
    assert plural(one) == many


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cat", "a cat"),
        ("owl", "an owl"),
        ("unicorn", "a unicorn"),
        ("ufo", "a ufo"),
        ("umbrella", "an umbrella"),
        ("~grapes", "grapes"),
    ],
)
def test_articles_fit_the_name(name: str, text: str) -> None:
    assert with_article(name) == text


def test_captions_name_the_thing_and_a_background_other_than_white() -> None:
    for text in captions_of("red apple", "blue"):
        assert "red apple" in text
        assert "blue" in text
    assert "a red apple on a blue background" in captions_of("red apple", "blue")


def test_captions_say_an_orange_background() -> None:
    assert all("a orange" not in text for text in captions_of("cat", "orange"))


def test_captions_never_show_the_mark_of_names_without_article() -> None:
    for background in ("white", "red"):
        assert all("~" not in text for text in captions_of("~grapes", background))


def test_captions_are_the_same_for_the_same_seed() -> None:
    names = [entry.names for entry in read_vocabulary()]
    grounds = [colour.name for colour in BACKGROUNDS]

    def draw() -> list[object]:
        rng = random.Random(3)
        wide = [wide_caption(rng, names, grounds, [0, 1, 2]) for _ in range(50)]
        return [*wide, *(caption(rng, names[0], "red") for _ in range(20))]

    assert draw() == draw()


def test_vocabulary_has_no_concept_and_no_usual_name_twice() -> None:
    entries = read_vocabulary()
    labels = [entry.label for entry in entries]
    usual = [entry.names[0] for entry in entries if entry.drawn]
    assert len(labels) == len(set(labels))
    assert len(usual) == len(set(usual))


def test_vocabulary_draws_at_least_two_hundred_and_fifty_concepts() -> None:
    assert sum(entry.drawn for entry in read_vocabulary()) >= 250
