"""Counting a prompt's tokens as T5 reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.catalog.families import t5_tokens
from modules.prompts import PromptTokenizer
from modules.prompts.t5_tokens import T5Tokenizer, count_t5_tokens

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "tokenizers" / "t5"


@pytest.fixture(scope="module")
def tokenizer() -> T5Tokenizer:
    return T5Tokenizer(PromptTokenizer.from_folder(FOLDER))


@pytest.mark.parametrize(
    ("text", "used", "limit"),
    [
        ("", 0, 255),
        ("a photo of a cat", 7, 255),
        ("  a photo of a (cat:1.3)  ", 7, 255),
        ("[a|a photo of a] cat", 7, 255),
        ("cat BREAK dog", 256, 510),
        ("cat " * 300, 300, 510),
        ("<lora:x:1>cat", 1, 255),
    ],
)
def test_the_longest_text_is_counted(
    tokenizer: T5Tokenizer, text: str, used: int, limit: int
) -> None:
    count = count_t5_tokens(text, tokenizer, 256)
    assert (count.used, count.limit) == (used, limit)


def test_chunks_are_as_long_as_each_family_was_trained_with() -> None:
    assert t5_tokens("sd3", "medium") == 256
    assert (t5_tokens("flux", "dev"), t5_tokens("flux", "schnell")) == (512, 256)
    assert t5_tokens("sdxl", "") is None and t5_tokens(None, "") is None
