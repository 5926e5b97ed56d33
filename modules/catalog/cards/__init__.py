"""Cards: every model file of the user with its notes, its preview and what it says of itself."""

from __future__ import annotations

from modules.catalog.cards.card import Card
from modules.catalog.cards.facts import CardFacts
from modules.catalog.cards.index import CardIndex
from modules.catalog.cards.pages import PAGES, Page, find_page
from modules.catalog.cards.query import SORTS, CardQuery, CardSelection, PageView, select

__all__ = [
    "PAGES",
    "SORTS",
    "Card",
    "CardFacts",
    "CardIndex",
    "CardQuery",
    "CardSelection",
    "Page",
    "PageView",
    "find_page",
    "select",
]
