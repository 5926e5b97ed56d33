"""Choosing cards: words that must be found, a folder, a family, an order, a part of the list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from modules.catalog.cards.card import Card

SORTS: Mapping[str, Callable[[Card], Any]] = {
    "path": lambda card: _by_name(card.entry.name),
    "name": lambda card: (_by_name(card.entry.stem), card.entry.name),
    "created": lambda card: (card.entry.created, card.entry.name),
    "modified": lambda card: (card.entry.modified, card.entry.name),
}
"""The ways to order cards, under A1111's names."""
MAX_WORDS = 20


@dataclass(frozen=True)
class CardQuery:
    """What to show of a page."""

    search: str = ""
    """Words that must all occur; one with a minus sign in front must not."""
    folder: str = ""
    """Only what lies below this folder."""
    sort: str = "path"
    descending: bool = False
    family: str = ""
    """Only files of this family; empty for all."""
    unknown_too: bool = True
    """With a family: also files that nothing is known about."""
    offset: int = 0
    limit: int = 60


@dataclass(frozen=True)
class CardSelection:
    """The answer to a query."""

    cards: list[Card]
    """The part that was asked for."""
    matched: int
    total: int
    hidden: int
    """Cards that would match but belong to another family."""
    families: Mapping[str, int]
    """How many of the matching cards each family has; "" for those of an unknown one."""


class PageView:
    """The cards of a page at one moment, with what many queries need of them worked out once."""

    def __init__(self, cards: Iterable[Card]) -> None:
        self.cards: tuple[Card, ...] = tuple(cards)
        self._ordered: dict[str, list[Card]] = {}

    def ordered(self, sort: str) -> list[Card]:
        """All cards, ascending."""
        if sort not in self._ordered:
            self._ordered[sort] = sorted(self.cards, key=SORTS[sort])
        return self._ordered[sort]

    @cached_property
    def folders(self) -> list[dict[str, Any]]:
        """The folders that hold cards, each with how many lie below it, sorted as a tree."""
        return _folders(self.cards)

    @cached_property
    def stems(self) -> Mapping[str, int]:
        """How often each file name occurs, in lower case and without its ending."""
        return Counter(card.entry.stem.lower() for card in self.cards)

    @cached_property
    def aliases(self) -> Mapping[str, int]:
        """How often each name that files give themselves occurs, in lower case."""
        return Counter(card.facts.alias.lower() for card in self.cards if card.facts.alias)


def select(view: PageView, query: CardQuery) -> CardSelection:
    """Answer a query; ten thousand cards take some hundredths of a second."""
    below, wanted, unwanted = _conditions(query)
    everything = view.ordered(query.sort)
    found = everything
    if below or wanted or unwanted:
        found = [card for card in everything if _matches(card, below, wanted, unwanted)]
    families = Counter(card.family for card in found)
    shown = [card for card in found if _fits(card, query)] if query.family else found
    if query.descending:
        shown = shown[::-1]
    part = shown[query.offset : query.offset + query.limit]
    return CardSelection(part, len(shown), len(everything), len(found) - len(shown), families)


def _folders(cards: Iterable[Card]) -> list[dict[str, Any]]:
    direct = Counter(card.entry.folder for card in cards)
    counts: Counter[str] = Counter()
    for folder, count in direct.items():
        parts = folder.split("/") if folder else []
        for depth in range(1, len(parts) + 1):
            counts["/".join(parts[:depth])] += count
    return [
        {"path": path, "name": path.rpartition("/")[2], "count": counts[path]}
        for path in sorted(counts, key=lambda path: [_by_name(part) for part in path.split("/")])
    ]


def _conditions(query: CardQuery) -> tuple[str, list[str], list[str]]:
    """Beginning of the name, words that must occur, words that must not."""
    words = query.search.lower().split()[:MAX_WORDS]
    unwanted = [word[1:] for word in words if len(word) > 1 and word[0] == "-"]
    wanted = [word for word in words if word == "-" or word[0] != "-"]
    return f"{query.folder}/" if query.folder else "", wanted, unwanted


def _matches(card: Card, below: str, wanted: list[str], unwanted: list[str]) -> bool:
    text = card.search
    return (
        card.entry.name.startswith(below)
        and all(word in text for word in wanted)
        and not any(word in text for word in unwanted)
    )


def _fits(card: Card, query: CardQuery) -> bool:
    if not card.family:
        return query.unknown_too or not card.known
    return card.family == query.family


def _by_name(name: str) -> tuple[str, str]:
    return name.lower(), name
