"""Finds the terms of a list in a text, however they are written.

Both sides are brought into one form first: compatibility forms (full width, ligatures, circled
letters) become plain, upper case lower, characters that cannot be seen go, and what is no letter,
number or combining mark only separates words. A term is found where its words follow each other as
whole words. Chinese, Japanese, Korean, Thai and their like have no spaces between words: there
every character counts as a word, so that a term is found inside a sentence.

What is not seen through: other alphabets' letters of the same look, letters with spaces between
them, misspellings, other languages, and what a model draws without being told.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from modules.prompts.attention import parse_attention
from modules.prompts.plan import parse_prompt

MAX_WORDS = 64
"""Of one term; later ones are left out."""
STEPS = 20
MAX_STEPS = 150
"""Of the schedule that a prompt with editing is looked at in."""

_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
"""Shown as nothing though Unicode does not call them format characters."""
_SPACELESS = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3040-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\uac00-\ud7ff"  # Hangul: particles follow a word without a space
)
_WORD = re.compile(f"[{_SPACELESS}]|[^{_SPACELESS}\x20]+")
_END = ""
"""In the tree: a term ends here."""


def words_of(text: str) -> list[str]:
    """The words of a text in the form that is compared."""
    return _WORD.findall(_plain(text))


@dataclass
class TermTree:
    """Terms by their words; looking for all of them takes one walk along the text."""

    root: dict[str, Any] = field(default_factory=dict)
    count: int = 0

    @classmethod
    def of(cls, terms: Iterable[str]) -> TermTree:
        """A tree of all terms that have a word at all."""
        tree = cls()
        for term in terms:
            tree._add(words_of(term)[:MAX_WORDS])
        return tree

    def find(self, words: list[str]) -> list[str] | None:
        """The first term in a text's words, as it stands there; None without any."""
        for begin in range(len(words)):
            node = self.root
            for position in range(begin, len(words)):
                node = node.get(words[position])
                if node is None:
                    break
                if _END in node:
                    return words[begin : position + 1]
        return None

    def _add(self, words: list[str]) -> None:
        if not words:
            return
        node = self.root
        for word in words:
            node = node.setdefault(word, {})
        self.count += _END not in node
        node[_END] = {}


def readings(prompt: str, steps: int = STEPS) -> list[list[str]]:
    """The words of a prompt as it is typed, and of every text that its syntax stands for.

    Weights and editing cut words in two: ``(gar:1.2)den`` and ``[gar:gar:0.5]den`` are read as the
    model reads them.
    """
    texts = dict.fromkeys([prompt])
    plan = parse_prompt(prompt, max(1, min(steps, MAX_STEPS)))
    for text in plan.texts():
        segments = parse_attention(text)
        texts["".join(" " if one.is_break else one.text for one in segments)] = None
    return [words_of(text) for text in texts]


def _plain(text: str) -> str:
    # What cannot be seen may stand between a letter and its accent, or come out of a folded one.
    form = unicodedata.normalize("NFKC", _seen(text))
    form = unicodedata.normalize("NFKC", _seen(form.casefold()))
    return "".join(_kept(character) for character in form)


def _seen(text: str) -> str:
    if text.isascii():
        return text
    return "".join(c for c in _UNSEEN.sub("", text) if unicodedata.category(c) != "Cf")


def _kept(character: str) -> str:
    """The character, or a space where it only separates."""
    if character.isalnum() or unicodedata.category(character)[0] == "M":
        return character
    return " "
