"""How a card is called in a prompt: `<lora:name:0.8>`, `<hypernet:name:1>`, an embedding's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modules.catalog.cards.card import Card
from modules.catalog.cards.pages import EMBEDDINGS, Page
from modules.catalog.cards.query import PageView

ALIAS = "Alias from file"
_FORBIDDEN = frozenset({"none", "addams"})
"""Aliases that trainers leave by default and that mean nothing."""


@dataclass(frozen=True)
class Naming:
    """Which names of a page are free of doubt, and what the settings wish."""

    stems: Mapping[str, int]
    aliases: Mapping[str, int]
    prefers_alias: bool = True
    weight: float = 1.0

    @classmethod
    def of(cls, view: PageView, options: Mapping[str, Any]) -> Naming:
        """From a page's cards and the settings."""
        return cls(
            view.stems,
            view.aliases,
            options.get("lora_preferred_name", ALIAS) == ALIAS,
            float(options.get("extra_networks_default_multiplier", 1.0)),
        )

    def name(self, card: Card) -> str:
        """The name that means this card and no other."""
        alias, stem = card.facts.alias, card.entry.stem
        if self.prefers_alias and alias and self._is_free(alias, stem):
            return alias
        return stem if self.stems[stem.lower()] == 1 else card.entry.name

    def insertion(self, card: Card) -> str:
        """What a click puts into the prompt; empty where a card is chosen instead."""
        page: Page = card.page
        if page is EMBEDDINGS:
            return card.entry.stem
        if not page.prompt:
            return ""
        weight = card.facts.user.preferred_weight or self.weight
        return f"<{page.prompt}:{self.name(card)}:{weight:g}>"

    def _is_free(self, alias: str, stem: str) -> bool:
        lowered = alias.lower()
        clear = self.aliases[lowered] == 1 and lowered not in _FORBIDDEN
        others = self.stems.get(lowered, 0) - (stem.lower() == lowered)
        return clear and others == 0 and not any(sign in alias for sign in ":<>\n")
