"""Wildcard files and choices."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules.prompts.wildcard_files import WildcardLibrary
from modules.prompts.wildcards import expand, has_wildcards


@pytest.fixture
def library(tmp_path: Path) -> WildcardLibrary:
    folder = tmp_path / "wildcards"
    (folder / "animals").mkdir(parents=True)
    (folder / "colour.txt").write_text("# signs\nred\n\ngreen\nblue\n", encoding="utf-8")
    (folder / "animals" / "cats.txt").write_text("__colour__ {lion|tiger}\n", encoding="utf-8")
    (folder / "animals" / "dogs.txt").write_text("poodle\n", encoding="utf-8")
    (folder / "loop.txt").write_text("x __loop__\n", encoding="utf-8")
    (folder / "bomb.txt").write_text("__bomb____bomb____bomb__\n", encoding="utf-8")
    (folder / "weighted.txt").write_text("9::often\n1::rarely\n", encoding="utf-8")
    (folder / "empty.txt").write_text("# nothing\n", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("secret\n", encoding="utf-8")
    return WildcardLibrary(folder)


def many(template: str, library: WildcardLibrary | None, count: int = 400) -> Counter[str]:
    return Counter(expand(template, seed, library).text for seed in range(count))


def test_a_wildcard_draws_every_line_but_comments(library: WildcardLibrary) -> None:
    assert set(many("__colour__", library)) == {"red", "green", "blue"}


def test_wildcards_nest_over_folders_and_choices(library: WildcardLibrary) -> None:
    found = set(many("__animals/cats__", library))
    assert found == {f"{c} {a}" for c in ("red", "green", "blue") for a in ("lion", "tiger")}


def test_a_star_joins_files(library: WildcardLibrary) -> None:
    found = many("__animals/*__", library, 60)
    assert "poodle" in found
    assert any("lion" in text for text in found)


def test_the_same_seed_gives_the_same_text(library: WildcardLibrary) -> None:
    template = "__animals/*__ {a|b|c} {2$$x|y|z}"
    assert expand(template, 5, library) == expand(template, 5, library)
    assert len(many(template, library, 60)) > 10


def test_draws_are_fixed_for_ever() -> None:
    assert [expand("{a|b|c|d|e|f|g|h}", seed).text for seed in range(8)] == list("gbhbbegc")


def test_weights_in_files_and_braces_count(library: WildcardLibrary) -> None:
    for template in ("__weighted__", "{9::often|1::rarely}"):
        counts = many(template, library, 1000)
        assert 850 < counts["often"] < 950
        assert counts["often"] + counts["rarely"] == 1000


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{a|b}", {"a", "b"}),
        ("{a|}", {"a", ""}),
        ("{2$$a|b}", {"a, b", "b, a"}),
        ("{2$$ and $$a|b}", {"a and b", "b and a"}),
        ("{1-2$$a|b}", {"a", "b", "a, b", "b, a"}),
        ("{9$$a|b}", {"a, b", "b, a"}),
        ("{0.0::a|1::b}", {"b"}),
        ("{{a|b}|c}", {"a", "b", "c"}),
        ("{[a|b]|c}", {"[a|b]", "c"}),
        (r"{a\|b|c}", {"a|b", "c"}),
        (r"\{a|b\}", {"{a|b}"}),
        ("{prompt}", {"{prompt}"}),
        ("{x}", {"{x}"}),
        ("{}", {"{}"}),
        ("{a", {"{a"}),
        ("a}", {"a}"}),
        ("[a|b]", {"[a|b]"}),
        (r"(a\)", {r"(a\)"}),
        (r"\__colour__", {"__colour__"}),
        ("snake_case __init", {"snake_case __init"}),
    ],
)
def test_choices(template: str, expected: set[str]) -> None:
    assert set(many(template, None, 200)) == expected


def test_several_from_one_wildcard(library: WildcardLibrary) -> None:
    for text in many("{2$$__colour__}", library, 50):
        first, second = text.split(", ")
        assert first != second
        assert {first, second} <= {"red", "green", "blue"}


def test_unknown_and_empty_wildcards_stay_with_a_warning(library: WildcardLibrary) -> None:
    unknown = expand("a __nothing__", 1, library)
    assert unknown.text == "a __nothing__"
    assert [(w.code, w.start, w.end) for w in unknown.warnings] == [("unknown_wildcard", 2, 13)]
    assert [w.code for w in expand("__empty__", 1, library).warnings] == ["empty_wildcard"]


def test_warnings_inside_files_point_at_the_outer_name(library: WildcardLibrary) -> None:
    (warning,) = expand("ab __loop__", 1, library).warnings
    assert (warning.code, warning.start, warning.end) == ("wildcard_depth", 3, 11)


def test_wildcards_that_multiply_are_limited(library: WildcardLibrary) -> None:
    result = expand("__bomb__", 1, library)
    assert len(result.text) < 2_000_000
    assert {w.code for w in result.warnings} & {"wildcard_limit", "wildcard_depth"}


@pytest.mark.parametrize(
    "name", ["../secret", "animals/../../secret", "/etc/passwd", "..", "a//b", "c:x", "a\\b", ""]
)
def test_names_cannot_leave_the_folder(library: WildcardLibrary, name: str) -> None:
    assert library.entries(name) is None


@pytest.mark.skipif(os.name == "nt", reason="needs the right to make links")
def test_links_out_of_the_folder_are_not_followed(library: WildcardLibrary) -> None:
    (library.folder / "leak.txt").symlink_to(library.folder.parent / "secret.txt")
    assert library.entries("leak") is None
    assert "leak" not in library.names()


def test_names_lists_every_file(library: WildcardLibrary) -> None:
    assert library.names() == [
        *("animals/cats", "animals/dogs", "bomb", "colour", "empty", "loop", "weighted")
    ]


def test_files_changed_on_disk_are_read_again(library: WildcardLibrary) -> None:
    assert expand("__animals/dogs__", 1, library).text == "poodle"
    (library.folder / "animals" / "dogs.txt").write_text("beagle dog\n", encoding="utf-8")
    assert expand("__animals/dogs__", 1, library).text == "beagle dog"


def test_has_wildcards_tells_templates_from_plain_prompts() -> None:
    assert has_wildcards("a __b__") and has_wildcards("{a|b}") and has_wildcards(r"\{a")
    assert not has_wildcards("{prompt} (a:1.2) [b|c] snake_case")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="ab{}|$:_12.\\[]- ", max_size=60), st.integers(-5, 2**40))
def test_no_template_ever_raises(library: WildcardLibrary, template: str, seed: int) -> None:
    first = expand(template, seed, library)
    assert first == expand(template, seed, library)
    for warning in first.warnings:
        assert 0 <= warning.start <= warning.end <= len(template)


@given(st.text(alphabet=st.characters(blacklist_characters="{}\\_"), max_size=60))
def test_plain_text_comes_back_unchanged(text: str) -> None:
    assert expand(text, 1).text == text
    assert not has_wildcards(text)


def test_hostile_lengths_are_no_problem(library: WildcardLibrary) -> None:
    for template in ("{" * 50_000, "{a|" * 30_000, "{" * 40_000 + "}" * 40_000, "_" * 90_000):
        assert expand(template, 1, library).text
