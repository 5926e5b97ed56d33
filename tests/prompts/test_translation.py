"""Chinese prompts read by a model's dictionary."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts import BadDictionaryError, Dictionary, parse_prompt, translate

SHIPPED = Path(__file__).resolve().parents[2] / "models/Stable-diffusion/easel-starter/zh.json"
DICTIONARY = Dictionary.from_json(json.loads(SHIPPED.read_text(encoding="utf-8")))

MIXED = st.text(
    alphabet=st.sampled_from("猫狗红色背景上的两只三苹果和旁边左小、，。国ab 1(:.3)[|]{}<>_#\\\n")
)


@pytest.mark.parametrize(
    ("chinese", "english"),
    [
        ("猫", "a cat"),
        ("貓", "a cat"),
        ("一只猫", "a cat"),
        ("两只企鹅", "two penguins"),
        ("3颗星星", "three stars"),
        ("三个苹果", "three apples"),
        ("紫色的鱼", "a purple fish"),
        ("橙色的猫", "an orange cat"),
        ("红苹果", "a red apple"),
        ("小狗和小猫", "a dog and a cat"),
        ("葡萄", "grapes"),
        ("蓝色背景上的红苹果", "a red apple on a blue background"),
        ("雪人，浅蓝色背景", "a snowman, light blue background"),
        ("猫在房子旁边", "a cat next to a house"),
        ("左边的猫", "a cat on the left"),
        ("猫在右边", "a cat on the right"),
        ("猫的照片", "a photo of a cat"),
        ("苹果、香蕉、梨", "an apple, a banana, a pear"),
    ],
)
def test_chinese_becomes_the_words_of_the_captions(chinese: str, english: str) -> None:
    assert translate(chinese, DICTIONARY).text == english


@pytest.mark.parametrize(
    ("prompt", "translated"),
    [
        ("(猫:1.3), 白色背景", "(a cat:1.3), white background"),
        ("[猫|狗]", "[a cat|a dog]"),
        ("[猫:狗:0.5]", "[a cat:a dog:0.5]"),
        ("<lora:小猫:1> 猫", "<lora:小猫:1> a cat"),
        ("__动物__ 猫", "__动物__ a cat"),
        ("a photo of 猫 on grass", "a photo of a cat on grass"),
        ("猫 BREAK 狗", "a cat BREAK a dog"),
    ],
)
def test_syntax_and_english_words_stay(prompt: str, translated: str) -> None:
    assert translate(prompt, DICTIONARY).text == translated


def test_it_tells_what_was_read_as_what_and_what_is_unknown() -> None:
    found = translate("美丽的猫, (狗)", DICTIONARY)
    assert found.pairs == (("美丽的猫", "a cat"), ("狗", "a dog"))
    assert found.unknown == ("美丽",)
    assert found.changed


def test_a_prompt_without_a_known_word_stays_as_it_is() -> None:
    found = translate("量子", DICTIONARY)
    assert (found.text, found.changed, found.unknown) == ("量子", False, ("量子",))


@given(st.text())
def test_any_text_can_be_given(text: str) -> None:
    translate(text, DICTIONARY)


@given(st.text(alphabet=st.characters(blacklist_categories=("Lo", "Cs"))))
def test_text_without_chinese_comes_back_unchanged(text: str) -> None:
    found = translate(text, DICTIONARY)
    assert found.text == text
    assert found.pairs == found.unknown == ()


@given(MIXED)
def test_brackets_and_marks_survive_and_translating_twice_changes_nothing(text: str) -> None:
    once = translate(text, DICTIONARY)
    kept = [sign for sign in text if sign in "()[]{}<>|_#\\"]
    assert [sign for sign in once.text if sign in "()[]{}<>|_#\\"] == kept
    if once.changed:
        assert not translate(once.text, DICTIONARY).changed or "<" in text or "__" in text
    parse_prompt(once.text, 20)


@pytest.mark.parametrize("piece", ["猫", "国", "两", "<", "__", "1猫", "猫，", "背景", "旁边猫"])
def test_long_texts_take_time_in_proportion(piece: str) -> None:
    def seconds(count: int) -> float:
        start = time.process_time()
        translate("猫" + piece * count, DICTIONARY)
        return time.process_time() - start

    seconds(100)
    assert seconds(10_000) < 60 * seconds(1_000) + 0.2


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"things": []},
        {"things": {"": "x"}},
        {"things": {"猫": "x" * 200}},
        {"words": {"和": "shout:and"}},
    ],
)
def test_a_dictionary_of_another_form_is_refused(content: object) -> None:
    with pytest.raises(BadDictionaryError):
        Dictionary.from_json(content)


def test_every_thing_of_the_vocabulary_has_a_chinese_word() -> None:
    from tools.starter.concepts import read_vocabulary

    known = {
        english.split("|")[0] for kind, english in DICTIONARY.words.values() if kind == "thing"
    }
    missing = [
        entry.names[0]
        for entry in read_vocabulary()
        if entry.drawn and not known & {name.removeprefix("~") for name in entry.names}
    ]
    assert missing == []
