"""Words that no caption uses get the embedding of the nearest thing that the UNet can draw.

The UNet answers sharply only to embeddings that it has met. A word beside them ("yacht" beside
"boat") gives a blur, although the sentence model knows how near the two are. So, before packaging,
such a word takes its neighbour's place in the text encoder's table. A neighbour counts when the
sentence model is sure of it, or fairly sure and emojibase lists the word among the thing's tags.
Words for people are left alone unless emojibase lists them: likeness of words says things about
people that nobody should draw.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping

import torch

from tools.starter.captions import COLOURED, HUES, NUMBERS, PLAIN, plural
from tools.starter.concepts import Concept
from tools.starter.config import Config
from tools.starter.fetch import folder_of
from tools.starter.minilm import cached
from tools.starter.tokenizer import build_tokenizer, readable_tokens

log = logging.getLogger(__name__)
SURE = 0.7
"""Cosine of two words from which they count as near without another witness."""
TAGGED = 0.55
"""The same for a word that emojibase lists among the thing's tags."""
PEOPLE_LIMIT = 0.45
_PEOPLE = ("people", "person", "race", "ethnic", "nationality", "religion", "insult", "politician")
_WORD = re.compile("[a-z]{3,}")
_ENDINGS = ("ing", "ed", "ly", "ful", "ous", "ish", "ive", "able", "est", "less", "ical")
"""Of words that rarely name a thing."""
_NOT_THINGS = {"sweet", "present", "die", "letter", "key", "target", "bomb"}
"""Names of drawings that mean something else as often, or that no word should bring up unasked."""
_LINKS = "a an and at background bottom in left next of on right small the to top with"
_END = "</w>"


def find_neighbours(config: Config, concepts: list[Concept]) -> dict[str, str]:
    """Return word to the name of the thing that it shall be drawn as; both are single tokens."""
    drawn = [concept for concept in concepts if concept.drawn]
    vocabulary = build_tokenizer(config).get_vocab()
    written = [token.removesuffix(_END) for token in vocabulary if token.endswith(_END)]
    words = sorted(word for word in written if _WORD.fullmatch(word))
    place = {word: row for row, word in enumerate(words)}
    meanings = _meanings(config, words)
    names = [name for name in _names(drawn) if name in place and name not in _NOT_THINGS]
    closeness = meanings @ meanings[[place[name] for name in names]].T
    nearest, column = closeness.max(1)
    people = (meanings @ meanings[[place[word] for word in _PEOPLE]].T).max(1).values
    known, tags = _caption_words(drawn, config), _tags(config, drawn)
    found: dict[str, str] = {}
    for word, row in place.items():
        if word in known:
            continue
        tagged = tags.get(word, set()) & set(names)
        if tagged:
            best = max(tagged, key=lambda name: float(closeness[row, names.index(name)]))
            if closeness[row, names.index(best)] >= TAGGED:
                found[word] = best
                continue
        plain = not word.endswith(_ENDINGS) and people[row] < PEOPLE_LIMIT
        if plain and nearest[row] >= SURE:
            found[word] = names[int(column[row])]
    log.info("%d words are drawn as their neighbours", len(found))
    return found


def teach_neighbours(
    table: torch.Tensor, vocabulary: Mapping[str, int], neighbours: Mapping[str, str]
) -> None:
    """Copy each neighbour's row of the table `[tokens, width]` to its word's, in place."""
    with torch.no_grad():
        for word, name in neighbours.items():
            table[vocabulary[word + _END]] = table[vocabulary[name + _END]]


def _meanings(config: Config, words: list[str]) -> torch.Tensor:
    """Normalised `[words, 384]`: each word alone and in a sentence that makes it a thing."""
    texts = readable_tokens(build_tokenizer(config))
    alone = dict(zip(texts, cached(config, "tokens", texts), strict=True))
    told = cached(config, "words", [f"a photo of a {word}" for word in words])
    return torch.nn.functional.normalize(torch.stack([alone[word] for word in words]) + told, dim=1)


def _names(concepts: Iterable[Concept]) -> list[str]:
    return list(dict.fromkeys(name.removeprefix("~") for one in concepts for name in one.names))


def _caption_words(drawn: list[Concept], config: Config) -> set[str]:
    """Every word that the UNet's captions may hold."""
    names = _names(drawn)
    colours = [colour.name for colour in config.backgrounds]
    texts = [*names, *map(plural, names), *PLAIN, *COLOURED, *HUES, *NUMBERS, *colours, _LINKS]
    return {word for text in texts for word in re.findall("[a-z]+", text.lower())}


def _tags(config: Config, drawn: list[Concept]) -> dict[str, set[str]]:
    """Emojibase's tags: word to the names of the things that it is listed with."""
    path = folder_of("emojibase", config.downloads) / "package" / "en" / "data.json"
    listed = {row["label"]: row.get("tags", ()) for row in json.loads(path.read_text("utf-8"))}
    found: dict[str, set[str]] = {}
    for concept in drawn:
        for tag in listed.get(concept.label, ()):
            found.setdefault(tag.lower(), set()).update(_names([concept]))
    return found
