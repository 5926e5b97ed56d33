"""Prompts in Chinese: a model's dictionary turns the words it knows into English.

A model whose texts were English only may bring a dictionary (its sidecar names the file). Chinese
characters are matched by the longest word; everything else of the prompt (English, brackets,
weights, `<lora:...>`, `__wildcards__`) stays as it is. Pure functions, linear in the text's length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_ANY_HAN = re.compile(f"[{_HAN}]")
_PIECES = re.compile(
    r"(?P<kept><[^<>\n]{0,400}>|__[^\s_][^\n]{0,100}?__)"
    rf"|(?P<run>(?:(?<![0-9.])[1-9])?[{_HAN}]+(?:、[{_HAN}]+)*)"
    r"|(?P<mark>[，。；、])[ \t]*"
)
_NUMBER_WORDS = {2: "two", 3: "three", 4: "four", 5: "five"}
_NOT_LIKE_A_VOWEL = ("uni", "ufo", "eu", "one", "use")
_LONGEST = 16
_MAX_WORDS = 100_000
_KINDS = frozenset({"link", "beside", "place", "size", "style", "background", "particle"})


class BadDictionaryError(ValueError):
    """The dictionary is not of the expected form."""


@dataclass(frozen=True)
class Dictionary:
    """Chinese words with their meaning: (kind, English).

    Kinds: `thing` (English as "cat|cats", or "grapes" where neither article nor number fits),
    `colour`, `number` ("2"), `measure`, `link` ("and"), `beside` ("next to"), `place` ("on the
    left"), `size` ("small"), `style` ("a photo of"), `background`, `particle`.
    """

    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Any) -> Dictionary:
        """Read the sections `things`, `colours`, `numbers`, `measures` and `words`.

        Raises:
            BadDictionaryError: the content has another form.
        """
        if not isinstance(data, dict):
            raise BadDictionaryError("the dictionary is not a JSON object")
        words: dict[str, tuple[str, str]] = {}
        for kind, section in (
            ("thing", "things"),
            ("colour", "colours"),
            ("number", "numbers"),
            ("measure", "measures"),
            ("", "words"),
        ):
            entries = data.get(section, {})
            if not isinstance(entries, dict) or len(entries) > _MAX_WORDS:
                raise BadDictionaryError(
                    f"{section!r} is not an object of at most {_MAX_WORDS} words"
                )
            for word, meaning in entries.items():
                text = str(meaning)
                if not word or len(word) > _LONGEST or len(text) > 100:
                    raise BadDictionaryError(f"{section!r} has an entry of a strange length")
                given, _, english = text.partition(":") if not kind else (kind, "", text)
                if not kind and given not in _KINDS:
                    raise BadDictionaryError(f"{given[:40]!r} is not a kind of word")
                words.setdefault(word, (given, english))
        return cls(words)


@dataclass(frozen=True)
class Translation:
    """What became of a prompt."""

    text: str
    """The prompt to draw: the same object as the given one when nothing was translated."""
    pairs: tuple[tuple[str, str], ...] = ()
    """Chinese and English of each piece, in order."""
    unknown: tuple[str, ...] = ()
    """Chinese words that the dictionary lacks; they were left out."""

    @property
    def changed(self) -> bool:
        """Whether anything was translated."""
        return bool(self.pairs)


def translate(text: str, dictionary: Dictionary) -> Translation:
    """Translate the Chinese of a prompt; never raises. Text without Chinese comes back unchanged.

    Where not a single word is known the text stays as it is.
    """
    if _ANY_HAN.search(text) is None:
        return Translation(text)
    parts: list[str] = []
    pairs: list[tuple[str, str]] = []
    unknown: list[str] = []
    end = 0
    for piece in _PIECES.finditer(text):
        parts.append(text[end : piece.start()])
        end = piece.end()
        if piece["run"]:
            english, missing = _translate_run(piece["run"], dictionary)
            unknown += (word for word in missing if word not in unknown)
            if english:
                pairs.append((piece["run"], english))
                _join(parts, english, text[end : end + 1])
        elif piece["mark"]:
            parts.append(", ")
        else:
            parts.append(piece.group())
    parts.append(text[end:])
    if not pairs:
        return Translation(text, unknown=tuple(unknown))
    return Translation("".join(parts), tuple(pairs), tuple(unknown))


def _join(parts: list[str], english: str, following: str) -> None:
    """Append the English with spaces where words would run together."""
    before = next((part[-1] for part in reversed(parts) if part), "")
    if before.isalnum():
        parts.append(" ")
    parts.append(english)
    if following.isalnum():
        parts.append(" ")


def _tokens(run: str, dictionary: Dictionary) -> Iterator[tuple[str, str, str]]:
    """Kind, English and source of each longest word; characters without one are `unknown`."""
    start = missing = 0
    while start < len(run):
        for length in range(min(_LONGEST, len(run) - start), 0, -1):
            word = run[start : start + length]
            found = dictionary.words.get(word)
            if found is not None:
                if missing:
                    yield "unknown", "", run[start - missing : start]
                    missing = 0
                yield *found, word
                start += length
                break
        else:
            if run[start] == "、":
                if missing:
                    yield "unknown", "", run[start - missing : start]
                    missing = 0
                yield "link", ",", "、"
            else:
                missing += 1
            start += 1
    if missing:
        yield "unknown", "", run[start - missing : start]


@dataclass
class _Clause:
    """What has been read of one piece of Chinese."""

    things: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    """`links[i]` stands between thing i and thing i + 1, "" until one is named."""
    number: int = 0
    sizes: list[str] = field(default_factory=list)
    colours: list[str] = field(default_factory=list)
    place: str = ""
    background: str = ""
    styles: list[str] = field(default_factory=list)
    next_link: str = ""

    def thing(self, forms: str) -> None:
        """Close a group: number, size and colour read so far belong to this thing."""
        one, _, many = forms.partition("|")
        colours = [colour for colour in self.colours if colour not in one.split()]
        name = many if many and self.number > 1 else one
        words = " ".join([*self.sizes, *colours, name])
        if many and self.number > 1:
            words = f"{_NUMBER_WORDS.get(self.number, self.number)} {words}"
        elif many:
            words = _with_article(words)
        if self.place:
            words = f"{words} {self.place}"
        if self.things:
            self.links.append(self.next_link or ",")
        self.things.append(words)
        self.number, self.sizes, self.colours, self.place, self.next_link = 0, [], [], "", ""

    def text(self) -> str:
        """The clause in English."""
        words = "".join(
            thing + (f"{link} " if link == "," else f" {link} ")
            for thing, link in zip(self.things, [*self.links, ""], strict=False)
        ).rstrip()
        for style in self.styles:
            if not words:
                words = style.removesuffix(" of")
            else:
                words = f"{style} {words}" if style.endswith(" of") else f"{words} {style}"
        rest = [*self.sizes, *self.colours, *([self.place] if self.place else [])]
        words = " ".join([words, *rest] if words else rest)
        if not self.background:
            return words
        ground = f"{self.background} background".strip()
        return f"{words} on {_with_article(ground)}" if words else ground


def _translate_run(run: str, dictionary: Dictionary) -> tuple[str, list[str]]:
    """English of one uninterrupted piece of Chinese, and the words that are not known."""
    clause, missing = _Clause(), []
    if run[0].isdigit():
        clause.number, run = int(run[0]), run[1:]
    tokens = list(_tokens(run, dictionary))
    for index, (kind, english, source) in enumerate(tokens):
        following = tokens[index + 1][2] if index + 1 < len(tokens) else ""
        if kind == "unknown":
            missing.append(source)
        elif kind == "thing":
            clause.thing(english)
        elif kind == "colour":
            clause.colours.append(english)
        elif kind == "number":
            clause.number = int(english) if english.isdigit() and len(english) < 3 else 0
        elif kind == "size":
            clause.sizes.append(english)
        elif kind == "style":
            clause.styles.append(english)
        elif kind == "link":
            clause.next_link = english
        elif kind == "beside":
            _beside(clause, english)
        elif kind == "place":
            _place(clause, english, following)
        elif kind == "background":
            clause.background = clause.colours.pop() if clause.colours else ""
            if not clause.background and not clause.things:
                clause.styles.append("background")
    return clause.text(), missing


def _beside(clause: _Clause, english: str) -> None:
    """ "A 在 B 旁边": between the last two things; "A 旁边的 B": before the next one."""
    if clause.links and clause.links[-1] == ",":
        clause.links[-1] = english
    else:
        clause.next_link = english


def _place(clause: _Clause, english: str, following: str) -> None:
    """ "左边的猫" belongs to the next thing, "猫在左边" to the last one."""
    if clause.things and following != "的":
        clause.things[-1] += f" {english}"
    else:
        clause.place = english


def _with_article(words: str) -> str:
    vowel = words[:1].lower() in ("a", "e", "i", "o", "u")
    article = "an" if vowel and not words.startswith(_NOT_LIKE_A_VOWEL) else "a"
    return f"{article} {words}"
