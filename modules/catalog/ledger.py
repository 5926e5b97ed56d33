"""The ledger: every model with its licence and source, and the names that pictures call it by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modules.catalog.cards.card import Card
from modules.catalog.cards.facts import CardFacts, read_facts
from modules.catalog.cards.pages import CHECKPOINTS, EMBEDDINGS, HYPERNETWORKS, LORA, Page
from modules.catalog.restorers import list_restorers

if TYPE_CHECKING:
    from modules.catalog.catalog import Catalog

PAGE_OF = {
    "checkpoint": CHECKPOINTS,
    "lora": LORA,
    "embedding": EMBEDDINGS,
    "hypernetwork": HYPERNETWORKS,
}
"""Kinds that have cards."""
KINDS = (*PAGE_OF, "vae", "upscaler", "restorer")


@dataclass(frozen=True)
class LedgerEntry:
    """One model."""

    kind: str
    name: str
    file: str
    path: Path | None
    """None for a model that pictures name and that is not here any more."""
    size: int = 0
    family: str = ""
    licence: str = ""
    licence_from: str = ""
    """"notes", "file", "civitai", "readme", "known", or empty."""
    source: str = ""
    author: str = ""
    card: str = ""
    """The card's name where it has one."""
    names: tuple[str, ...] = ()
    """How pictures may call it."""
    hash_files: tuple[Path, ...] = ()

    @property
    def present(self) -> bool:
        """Whether the model is here."""
        return self.path is not None


def entries(catalog: Catalog) -> list[LedgerEntry]:
    """Every model that is here, by kind and name."""
    found = [*_cards(catalog), *_vaes(catalog), *_upscalers(catalog), *_restorers(catalog)]
    return sorted(found, key=lambda entry: (KINDS.index(entry.kind), entry.name.lower()))


def _cards(catalog: Catalog) -> Iterator[LedgerEntry]:
    for kind, page in PAGE_OF.items():
        catalog.cards.told(page, list(catalog.cards.cards(page)))
        for card in catalog.cards.cards(page):
            if not card.problem:
                yield _of_card(kind, page, card)


def _of_card(kind: str, page: Page, card: Card) -> LedgerEntry:
    entry, facts, info = card.entry, card.facts, card.checkpoint
    names = {entry.stem, entry.name, facts.alias}
    if info is not None:
        names |= {info.model_name, info.stem, info.name}
    return LedgerEntry(
        kind=kind,
        name=info.model_name if info is not None else entry.name,
        file=entry.path.name,
        path=entry.path,
        size=info.size if info is not None else entry.size,
        family=card.family,
        licence=facts.licence,
        licence_from=facts.licence_from,
        source=facts.source,
        author=facts.author,
        card=entry.name,
        names=tuple(sorted(name for name in names if name)),
        hash_files=info.hash_files if info is not None else (entry.path,),
    )


def _vaes(catalog: Catalog) -> Iterator[LedgerEntry]:
    for vae in catalog.vaes():
        facts = read_facts("vae", vae.path)
        yield _plain("vae", vae.name, vae.path, (vae.name, vae.path.stem), facts)


def _upscalers(catalog: Catalog) -> Iterator[LedgerEntry]:
    for info in catalog.upscalers():
        if info.kind != "model" or info.path is None or not info.path.is_file():
            continue
        facts = CardFacts(
            licence=info.licence,
            licence_from="known" if info.licence else "",
            source=info.url or "",
        )
        yield _plain("upscaler", info.name, info.path, (info.name,), facts)


def _restorers(catalog: Catalog) -> Iterator[LedgerEntry]:
    for info in list_restorers(catalog.paths):
        if info.present:
            facts = CardFacts(licence=info.licence, licence_from="known", source=info.url or "")
            yield _plain("restorer", info.name, info.path, (info.name,), facts)


def _plain(
    kind: str, name: str, path: Path, names: tuple[str, ...], facts: CardFacts
) -> LedgerEntry:
    return LedgerEntry(
        kind=kind,
        name=name,
        file=path.name,
        path=path,
        size=_size(path),
        family=facts.family,
        licence=facts.licence,
        licence_from=facts.licence_from,
        source=facts.source,
        author=facts.author,
        names=names,
        hash_files=(path,) if path.is_file() else (),
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
