"""Captions: the ways in which people ask for a scene."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

_IRREGULAR = {
    "man": "men",
    "woman": "women",
    "person": "people",
    "child": "children",
    "mouse": "mice",
    "goose": "geese",
    "tooth": "teeth",
    "foot": "feet",
    "ox": "oxen",
    "leaf": "leaves",
    "loaf": "loaves",
    "wolf": "wolves",
    "knife": "knives",
    "die": "dice",
    "cactus": "cacti",
    "potato": "potatoes",
    "tomato": "tomatoes",
    "volcano": "volcanoes",
    "mango": "mangoes",
    "hero": "heroes",
}
_UNCHANGED = {"fish", "sheep", "deer", "bison", "shrimp", "squid", "jellyfish", "pufferfish"}
_HEAD_FIRST = (" of ", " with ", " in ", " on ", " and ", " behind ", " from ", " without ")

PLAIN = (
    "{a}",
    "{a}",
    "{n}",
    "{a} emoji",
    "{a} on a white background",
    "{a}, white background",
    "a picture of {a}",
    "a photo of {a}",
    "a drawing of {a}",
    "an illustration of {a}",
    "a cute {n}",
    "{n}, simple, colorful",
)
COLOURED = (
    "{a} on a {c} background",
    "{a} on a {c} background",
    "{a} on {c}",
    "{a}, {c} background",
    "{n}, {c} background",
    "a {c} background with {a}",
    "a picture of {a} on a {c} background",
    "{a} emoji on a {c} background",
    "a photo of {a} with a {c} background",
    "a cute {n} on a {c} background",
)


def plural(name: str) -> str:
    """Return the plural of a name: "strawberry" gives "strawberries"."""
    for link in _HEAD_FIRST:
        if link in name:
            head, tail = name.split(link, 1)
            return plural(head) + link + tail
    head, _, last = name.rpartition(" ")
    return f"{head} {_plural_word(last)}".strip()


def _plural_word(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word in _UNCHANGED:
        return word
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    return word + "s"


def with_article(name: str) -> str:
    """Return the name with "a" or "an"; "~grapes" becomes "grapes"."""
    if name.startswith("~"):
        return name[1:]
    vowel = name[0].lower() in "aeiou" and not name.startswith(("uni", "ufo", "eu", "one"))
    return f"{'an' if vowel else 'a'} {name}"


def captions_of(name: str, background: str) -> tuple[str, ...]:
    """Return every caption of one name on one background, "white" being mostly unsaid."""
    bare = name.removeprefix("~")
    templates = PLAIN if background == "white" else COLOURED
    if name.startswith("~"):
        templates = tuple(t.replace("a cute {n}", "cute {n}") for t in templates)
    made = (t.format(a=with_article(name), n=bare, c=background) for t in templates)
    return tuple(text.replace("a orange", "an orange") for text in made)


def caption(rng: random.Random, names: tuple[str, ...], background: str) -> str:
    """Draw a caption; the usual name comes up in two of three."""
    name = names[0] if len(names) == 1 or rng.random() < 0.65 else rng.choice(names[1:])
    return rng.choice(captions_of(name, background))


NUMBERS = ("one", "two", "three", "four", "five")
HUES = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")


@dataclass(frozen=True)
class Wording:
    """A caption of the wide set that the text encoder learns from, with what it says."""

    text: str
    concept: int
    background: int = 0
    count: int = 0
    """Number of copies minus one."""
    second: int = -100
    """The other concept of a pair, or -100."""
    hue: int = -100
    """Index into `HUES` of an adjective, or -100."""
    style: int = -100
    """Index into the endings that name styles, or -100 where none is named."""


def wide_caption(
    rng: random.Random,
    names: list[tuple[str, ...]],
    backgrounds: list[str],
    drawn: list[int],
    endings: tuple[str, ...] = ("",),
) -> Wording:
    """Draw a caption about any concept: mostly one object, also counts, pairs and hues.

    The text encoder learns more than the first UNet can draw, so that a longer training of the
    UNet need not begin with new text.
    """
    wording = _wide_caption(rng, names, backgrounds, drawn)
    if len(endings) < 2:
        return wording
    style = rng.randrange(len(endings))
    return replace(wording, text=wording.text + endings[style], style=style)


def _wide_caption(
    rng: random.Random, names: list[tuple[str, ...]], backgrounds: list[str], drawn: list[int]
) -> Wording:
    concept = rng.choice(drawn) if rng.random() < 0.5 else rng.randrange(len(names))
    place = 0 if rng.random() < 0.35 else rng.randrange(len(backgrounds))
    ending = "" if place == 0 else f" on a {backgrounds[place]} background".replace("a or", "an or")
    name = rng.choice(names[concept])
    kind = rng.random()
    if kind < 0.1 and not name.startswith("~"):
        count = rng.randrange(1, 5)
        return Wording(f"{NUMBERS[count]} {plural(name)}{ending}", concept, place, count)
    if kind < 0.2:
        second = rng.randrange(len(names))
        link = rng.choice((" and ", " next to ", ", "))
        text = with_article(name) + link + with_article(rng.choice(names[second])) + ending
        return Wording(text, concept, place, second=second)
    if kind < 0.3:
        hue = rng.randrange(len(HUES))
        mark = "~" if name.startswith("~") else ""
        text = with_article(f"{mark}{HUES[hue]} {name.removeprefix('~')}") + ending
        return Wording(text, concept, place, hue=hue)
    return Wording(caption(rng, names[concept], backgrounds[place]), concept, place)
