"""A term is found however it is written, and nothing else is taken for it."""

from __future__ import annotations

import os
import sys
import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modules.prompts.term_files import TermLibrary
from modules.prompts.terms import TermTree, readings, words_of

WORD = st.text(st.characters(categories=("Ll", "Lu", "Lo", "Nd")), min_size=1, max_size=8)
UNSEEN = st.sampled_from(["\u200b", "\u200d", "\u00ad", "\u2060", "\ufeff", "\ufe0f", "\u034f"])


def found(term: str, prompt: str) -> bool:
    tree = TermTree.of([term])
    return any(tree.find(words) is not None for words in readings(prompt))


@pytest.mark.parametrize(
    ("term", "prompt"),
    [
        ("jane doe", "portrait of Jane  DOE, oil"),
        ("jane doe", "jane_doe"),
        ("jane doe", "jane-doe"),
        ("jane doe", "(ja:1.3)ne doe"),
        ("jane doe", "[ja:ja:0.5]ne doe"),
        ("jane doe", "ja[n|n]e doe"),
        ("jane doe", "by ((jane)) [doe]"),
        ("naked", "n\u200bak\u00aded"),
        ("naked", "ｎａｋｅｄ"),
        ("naked", "ⓝaked"),
        ("Straße", "eine STRASSE"),
        ("été", "un e\u0301te\u0301"),
        ("女人", "一个女人在花园"),
        ("女人", "女 人"),
        ("女人", "女\u200b人"),
        ("AI画", "这是ai画"),
        ("ひと", "そのひとは"),
        ("คน", "มีคนอยู่"),
    ],
)
def test_a_term_is_found_however_it_is_written(term, prompt):
    assert found(term, prompt)


@pytest.mark.parametrize(
    ("term", "prompt"),
    [
        ("art", "a party"),
        ("ass", "grass, classic"),
        ("jane doe", "jane and a doe"),
        ("女人", "女生和人"),
        ("kid", "kidney beans"),
        ("cat", "concatenate"),
    ],
)
def test_parts_of_other_words_are_none(term, prompt):
    assert not found(term, prompt)


@settings(max_examples=150, deadline=None)
@given(st.lists(WORD, min_size=1, max_size=3), WORD, WORD, UNSEEN, st.data())
def test_case_width_and_unseen_characters_make_no_difference(term, before, after, unseen, drawn):
    text = " ".join(term)
    assume(words_of(text))
    form = drawn.draw(st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
    changed = unicodedata.normalize(form, text)
    changed = drawn.draw(st.sampled_from([str.upper, str.lower, str.swapcase, str]))(changed)
    assume(words_of(changed) == words_of(text))
    at = drawn.draw(st.integers(0, len(changed)))
    changed = changed[:at] + unseen + changed[at:]
    tree = TermTree.of([text])
    assert tree.find(words_of(f"{before} {changed} {after}")) is not None


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=3), max_size=6), st.data())
def test_the_tree_finds_what_a_plain_search_finds(terms, drawn):
    text = drawn.draw(st.lists(st.sampled_from("abcdef"), max_size=20))
    tree = TermTree.of(" ".join(term) for term in terms)
    plain = f" {' '.join(text)} "
    assert (tree.find(text) is not None) == any(f" {' '.join(t)} " in plain for t in terms)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_no_text_is_too_odd(text):
    tree = TermTree.of([text, "x"])
    for words in readings(text.replace("\0", "")):
        tree.find(words)


@pytest.fixture
def library(tmp_path):
    return TermLibrary(tmp_path / "term-lists")


def test_lists_are_files_with_one_term_a_line(library):
    library.save("names", "\ufeff# people\njane doe\n\n  John Roe \n!!!\n")
    assert [(one.name, one.terms.count, one.problem) for one in library.lists()] == [
        ("names", 2, "")
    ]
    hit = library.search(["a cat", "john   roe in a garden"])
    assert (hit.list, hit.words) == ("names", "john roe")
    assert library.search(["john roe"], without=["names"]) is None


def test_a_changed_list_holds_at_once_and_a_deleted_one_no_more(library):
    library.save("words", "apple")
    assert library.search(["an apple"]) is not None
    library.save("words", "pear pie")
    assert library.search(["an apple"]) is None
    assert library.search(["pear pie"]) is not None
    assert library.delete("words")
    assert not library.delete("words")
    assert library.search(["pear pie"]) is None


@pytest.mark.skipif(
    sys.platform == "win32" or (hasattr(os, "geteuid") and os.geteuid() == 0),
    reason="everything is readable here",
)
def test_a_list_that_cannot_be_read_any_more_keeps_what_it_said(library):
    library.save("words", "apple")
    library.search([""])
    (library.folder / "words.txt").chmod(0)
    os.utime(library.folder / "words.txt", (1, 1))
    assert library.search(["an apple"]) is not None


def test_a_list_too_large_to_read_lets_nothing_through(library):
    library.folder.mkdir(parents=True)
    (library.folder / "words.txt").write_bytes(b"apple\n" * 200_000)
    with pytest.raises(OSError, match="words"):
        library.search(["a cat"])
    assert "allowed are" in library.lists()[0].problem


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 61, "a.txt", "con\0", " a"])
def test_names_that_are_no_names_of_lists_are_refused(library, name):
    with pytest.raises(ValueError, match="a name has"):
        library.save(name, "x")
    with pytest.raises(ValueError, match="a name has"):
        library.text(name)


def test_a_long_prompt_and_a_long_list_take_one_walk(library):
    tree = TermTree.of([f"name{index} word" for index in range(20_000)] + ["a " * 64])
    assert tree.find(words_of("name5 " * 20_000)) is None
    assert tree.find(words_of("x " * 20_000 + "name7 word")) == ["name7", "word"]
