"""Texts that are made to be slow: 100 KB of anything is read in time that grows with its length."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from modules.prompts.attention import scan_attention
from modules.prompts.plan import parse_prompt
from modules.prompts.styles import Style, StyleBook
from modules.prompts.wildcard_files import WildcardLibrary
from modules.prompts.wildcards import MAX_WORK, expand, has_wildcards

LENGTH = 100_000
SECONDS = 4.0
"""Of processor time. A usual machine takes a tenth; a parser that is not linear takes hours, and
what lies between is for `python3 launch.py bench fuzz` to tell."""

PIECES = (
    *("[", "(", "]", ")", "|", "{", "}", "\\", "<", "_", ":", " ", "\n", "#", "/*", '"', "a"),
    *("[a|b]", "[a:", "[a:b:0.5]", "[[a:b:0.5]:c:0.3]", "[a|b|c|", "[a|b:", "(a", "(a:1.1)"),
    *("<lora:a", "<lora:a:1>", "a AND b ", "BREAK ", "{a|b}", "{0.5::a|", "{1$$", "__a__", "__a"),
    *("# a\n", "a: b, ", "\U0001f600", "a\u0301", "[a:b:1e9]", "((a:1):", "([a|(b)])"),
)


def mixed() -> str:
    """All pieces in an order that is fixed."""
    order = random.Random(7)
    return "".join(order.choice(PIECES) for _ in range(LENGTH // 2))[:LENGTH]


WORST = ("[", "]", "[a|b]", "[a:", "{a|b}", "all of them")
TEXTS = {**{piece: (piece * LENGTH)[:LENGTH] for piece in PIECES}, "all of them": mixed()}


def seconds(act: Callable[[], object]) -> float:
    """Processor time of one call; other processes do not count."""
    begin = time.process_time()
    act()
    return time.process_time() - begin


@pytest.mark.parametrize(
    "name",
    [
        *WORST,
        *(pytest.param(name, marks=pytest.mark.full) for name in TEXTS if name not in WORST),
    ],
    ids=ascii,
)
def test_a_hundred_kilobytes_are_parsed_at_once(name: str) -> None:
    text = TEXTS[name]
    assert seconds(lambda: parse_prompt(text, 150, hires_steps=150)) < SECONDS
    assert seconds(lambda: (scan_attention(text), expand(text, 1), has_wildcards(text))) < SECONDS


def library(folder: Path, **files: str) -> WildcardLibrary:
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return WildcardLibrary(folder)


@pytest.mark.parametrize(
    ("template", "entry"),
    [
        ("__x__" * 100 + "__x__", "{" + "|".join(["a"] * 50_000) + "}"),
        ("__x__", "{100$$" + "|".join(["__x__"] * 3_000) + "}"),
        ("__x__", "{50$$__x__}\n{50$$" + "|".join(["a"] * 30_000) + "}"),
        ("{100$$__x__}", "\n".join(["__x__ " * 100] * 100)),
        ("__*__ " * 5_000, "__*__\n" * 100),
        (" ".join(f"__{number}*__" for number in range(2_000)), "a"),
    ],
    ids=["wide", "deep", "both", "picks", "stars", "many stars"],
)
def test_wildcards_that_feed_on_each_other_are_bounded(
    tmp_path: Path, template: str, entry: str
) -> None:
    known = library(tmp_path, x=entry, **{f"y{number}": entry[:100] for number in range(20)})
    made = []
    assert seconds(lambda: made.append(expand(template, 1, known))) < SECONDS
    assert len(made[0].text) < 2 * MAX_WORK


def test_styles_that_cover_a_prompt_again_and_again_are_taken_out_up_to_a_limit(
    tmp_path: Path,
) -> None:
    book = StyleBook(tmp_path / "styles.csv")
    book.save(Style("a", "a"))
    rows = "".join(f"style {number},nothing {number},\n" for number in range(2_000))
    with book.path.open("a", encoding="utf-8") as file:
        file.write(rows)
    prompt = ", ".join(["a"] * 20_000)
    found = []
    assert seconds(lambda: found.extend(book.extract(prompt, ""))) < SECONDS
    rest, _, names = found
    assert len(names) == 100
    assert len(rest) > 59_000


@pytest.mark.parametrize(
    "text",
    [
        'name,prompt\n"' + "a" * 2_000_000,
        "," * 1_000_000,
        "name,prompt\n" + "a,b\n" * 200_000,
        "\0",
    ],
    ids=["quote", "columns", "rows", "nul"],
)
def test_a_hostile_styles_file_costs_little_and_breaks_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "styles.csv"
    path.write_text(text, encoding="utf-8")
    book = StyleBook(path)
    assert seconds(book.names) < SECONDS
    book.save(Style("mine", "x"))
    assert book.get("mine") == Style("mine", "x")


def test_a_styles_file_of_gigabytes_is_set_aside_unread(tmp_path: Path) -> None:
    path = tmp_path / "styles.csv"
    with path.open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    assert StyleBook(path).names() == []
