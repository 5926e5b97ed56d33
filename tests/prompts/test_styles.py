"""Styles: merging, taking out again, and the CSV file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts.styles import Style, StyleBook, apply_styles, extract_style, merge_style


@pytest.fixture
def book(tmp_path: Path) -> StyleBook:
    book = StyleBook(tmp_path / "styles.csv")
    book.save(Style("photo", "photo of {prompt}, 35mm", "drawing"))
    book.save(Style("night", "at night", ""))
    return book


def test_a_placeholder_wraps_and_other_texts_are_appended(book: StyleBook) -> None:
    merged = apply_styles("a cat", "blurry", ["photo", "night"], book)
    assert merged == ("photo of a cat, 35mm, at night", "blurry, drawing")


def test_an_empty_prompt_takes_no_comma(book: StyleBook) -> None:
    assert apply_styles("", "", ["night"], book) == ("at night", "")


def test_unknown_styles_are_ignored(book: StyleBook) -> None:
    assert apply_styles("a", "b", ["nothing"], book) == ("a", "b")
    assert apply_styles("a", "b", None, book) == ("a", "b")


def test_a_style_that_multiplies_the_prompt_without_end_is_left_out(tmp_path: Path) -> None:
    book = StyleBook(tmp_path / "s.csv")
    book.save(Style("bomb", "{prompt}{prompt}{prompt}{prompt}"))
    prompt, _ = apply_styles("x" * 1000, "", ["bomb"] * 50, book)
    assert len(prompt) <= 1_000_000


def test_styles_survive_the_file(book: StyleBook) -> None:
    book.save(Style('odd, "name"', "line\nbreak", "ü"))
    again = StyleBook(book.path)
    assert again.list() == book.list()
    assert again.names() == ["photo", "night", 'odd, "name"']


def test_saving_under_a_known_name_replaces_in_place(book: StyleBook) -> None:
    book.save(Style("photo", "new"))
    assert book.names() == ["photo", "night"]
    assert book.get("photo") == Style("photo", "new")


def test_a_style_needs_a_name(book: StyleBook) -> None:
    with pytest.raises(ValueError, match="name"):
        book.save(Style("  "))


def test_deleting_tells_whether_there_was_one(book: StyleBook) -> None:
    assert book.delete("photo")
    assert not book.delete("photo")
    assert StyleBook(book.path).names() == ["night"]


def test_changes_on_disk_are_seen(book: StyleBook) -> None:
    with book.path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["name", "prompt", "negative_prompt"], ["hand", "made", ""]])
    assert book.names() == ["hand"]


def test_the_old_text_column_and_broken_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "styles.csv"
    path.write_bytes(b"\xef\xbb\xbfname,text\nold,hello\n,nameless\nshort\n\xff,\xfe\n")
    names = StyleBook(path).names()
    assert names[0] == "old"
    assert StyleBook(path).get("old") == Style("old", "hello")
    assert "nameless" not in names


def test_a_missing_file_is_an_empty_book(tmp_path: Path) -> None:
    assert StyleBook(tmp_path / "none.csv").list() == ()


def test_styles_are_taken_out_again(book: StyleBook) -> None:
    prompt, negative = apply_styles("a cat", "blurry", ["photo", "night"], book)
    assert book.extract(prompt, negative) == ("a cat", "blurry", ["photo", "night"])


def test_a_style_counts_only_with_both_texts(book: StyleBook) -> None:
    assert book.extract("photo of a cat, 35mm", "") == ("photo of a cat, 35mm", "", [])


@given(st.text(max_size=20), st.text(max_size=20))
def test_what_is_merged_can_be_taken_out(style: str, prompt: str) -> None:
    merged = merge_style(style, prompt)
    inner = extract_style(style, merged)
    assert inner is not None
    assert merge_style(style.strip(), inner).strip() == merged.strip()
