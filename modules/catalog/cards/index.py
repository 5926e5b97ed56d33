"""The cards of all pages: listed at once, told about little by little, kept in memory."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from modules.catalog.cards.card import Card
from modules.catalog.cards.fact_store import FactStore
from modules.catalog.cards.facts import read_facts
from modules.catalog.cards.pages import BY_KEY, CHECKPOINTS, PICTURES, Page
from modules.catalog.cards.query import PageView
from modules.catalog.cards.walk import Entry, Listing, entry_at, listing, walk
from modules.catalog.checkpoints import CheckpointInfo
from modules.catalog.hashes import HashCache
from modules.catalog.user_metadata import change_user_metadata
from modules.requests.errors import NotFoundInList
from modules.settings.damage import Told, only_logged
from modules.settings.paths import Paths

logger = logging.getLogger("easel.catalog")

BATCH = 200
"""Files whose facts are read between two commits and two pieces of news."""
AT_ONCE = 100
"""Cards that one request may have read before it answers."""


class CardIndex:
    """The cards of an installation. Thread-safe; nothing is read before it is asked for.

    `checkpoints` gives the catalog's own list, so that both speak of the same files.
    """

    def __init__(
        self,
        paths: Paths,
        hashes: HashCache,
        checkpoints: Callable[[], Iterable[CheckpointInfo]],
        damaged: Told = only_logged,
    ) -> None:
        self.paths = paths
        self._hashes = hashes
        self._checkpoints = checkpoints
        self._store = FactStore(paths.cache / "cards.sqlite", damaged)
        self._lock = threading.RLock()
        self._pages: dict[str, tuple[int, dict[str, Card]]] = {}
        self._views: dict[str, PageView] = {}
        self._serial = itertools.count(1)
        self._newest: dict[str, int] = {}
        self._stop = threading.Event()
        self._worker: threading.Thread | None = None
        self._unread = 0
        self._complete: dict[str, int] | None = None

    def cards(self, page: Page) -> tuple[Card, ...]:
        """All cards of a page, in no particular order."""
        return self.view(page).cards

    def view(self, page: Page) -> PageView:
        """The page as it is now; the same object until something changes."""
        with self._lock:
            cards = self._page(page)
            view = self._views.get(page.key)
            if view is None:
                shown = (card for card in cards.values() if not _is_mere_picture(card))
                view = self._views[page.key] = PageView(shown)
            return view

    def find(self, page: Page, name: str) -> Card:
        """One card by its name, or by the last part of it, with its facts.

        Raises:
            NotFoundInList: there is none; only a few names are listed.
        """
        with self._lock:
            cards = self._page(page)
            card = cards.get(name) or next(
                (card for card in cards.values() if name in (card.entry.stem, card.title)), None
            )
        if card is None:
            raise NotFoundInList("name", name, list(cards)[:40])
        return self.told(page, [card])[0]

    def told(self, page: Page, cards: list[Card]) -> list[Card]:
        """The same cards with their facts, of which at most `AT_ONCE` are read now."""
        missing = [card for card in cards if not card.known][:AT_ONCE]
        if missing:
            self._tell(page, missing)
        with self._lock:
            now = self._page(page)
            return [now.get(card.entry.name, card) for card in cards]

    def refresh(self, page: Page | None = None) -> None:
        """Look at the folders of one page, or of all, again when they are asked for next.

        Takes no lock: the catalog calls it while it holds its own, which listing pages needs.
        """
        for key in [page.key] if page is not None else BY_KEY:
            self._newest[key] = next(self._serial)

    def change(self, page: Page, name: str, changes: Mapping[str, Any]) -> Card:
        """Store what a person noted about a model.

        Raises:
            NotFoundInList: there is no such card.
            RequestError: a field is unknown or a value does not fit.
            OSError: the folder cannot be written.
        """
        card = self.find(page, name)
        change_user_metadata(card.entry.path, changes)
        return self.look_again(page, card.entry.name)

    def look_again(self, page: Page, name: str) -> Card:
        """Read one card anew, after something beside its file changed."""
        old = self.find(page, name)
        entry = entry_at(old.entry.path, old.entry.root)
        if entry is None:
            raise NotFoundInList("name", name, [])
        with self._lock:
            self._page(page)[entry.name] = self._card(page, entry, old.checkpoint)
            self._views.pop(page.key, None)
        return self.find(page, entry.name)

    @property
    def unread(self) -> int:
        """Files whose facts the background work has still to read."""
        return self._unread

    def read_in_background(self, done: Callable[[], None] | None = None) -> None:
        """Read what is not known yet in a thread; `done` hears of every batch."""
        with self._lock:
            busy = self._worker is not None and self._worker.is_alive()
            if busy or self._complete == self._newest:
                return
            self._stop.clear()
            self._worker = threading.Thread(
                target=self._read_all, args=(done,), name="easel-cards", daemon=True
            )
            self._worker.start()

    def stop(self) -> None:
        """End background work within moments and close the cache."""
        self._stop.set()
        if self._worker is not None:
            self._worker.join(timeout=5)
        self._store.close()

    def sha256_of(self, card: Card) -> str | None:
        """The sha256 of a card's file if it is on record; a checkpoint's by the catalog's rule."""
        if card.checkpoint is not None:
            return card.checkpoint.sha256
        return self._hashes.known(card.entry.path) if card.entry.path.is_file() else None

    def _page(self, page: Page) -> dict[str, Card]:
        newest = self._newest.get(page.key, 0)
        listed = self._pages.get(page.key)
        if listed is None or listed[0] != newest:
            listed = self._pages[page.key] = (newest, self._list(page))
            self._views.pop(page.key, None)
        return listed[1]

    def _list(self, page: Page) -> dict[str, Card]:
        if page is CHECKPOINTS:
            return self._list_checkpoints(page)
        roots = [root for root in page.roots(self.paths) if root.is_dir()]
        return {e.name: self._card(page, e, None) for e in walk(roots, page.suffixes)}

    def _list_checkpoints(self, page: Page) -> dict[str, Card]:
        cards: dict[str, Card] = {}
        listings: dict[Path, Listing] = {}
        for info in self._checkpoints():
            folder = info.path.parent
            if folder not in listings:
                listings[folder] = listing(folder)
            entry = entry_at(info.path, self._root_of(info.path, page), listings[folder])
            if entry is not None:
                cards.setdefault(entry.name, self._card(page, entry, info))
        return cards

    def _root_of(self, path: Path, page: Page) -> Path:
        for root in page.roots(self.paths):
            if path.is_relative_to(root):
                return root
        return path.parent

    def _card(self, page: Page, entry: Entry, info: CheckpointInfo | None) -> Card:
        return Card.of(page, entry, self._store.get(entry.path, entry.stamp), info)

    def _tell(self, page: Page, cards: list[Card]) -> None:
        rows = [
            (card.entry.path, card.entry.stamp, read_facts(page.key, card.entry.path))
            for card in cards
        ]
        self._store.put(rows)
        with self._lock:
            now = self._page(page)
            for card in cards:
                if card.entry.name in now:
                    now[card.entry.name] = self._card(page, card.entry, card.checkpoint)
            self._views.pop(page.key, None)

    def _read_all(self, done: Callable[[], None] | None) -> None:
        begun = dict(self._newest)
        for page in BY_KEY.values():
            waiting = [card for card in self.cards(page) if not card.known]
            while waiting and not self._stop.is_set():
                self._unread = len(waiting)
                self._tell(page, waiting[:BATCH])
                waiting = waiting[BATCH:]
                if done is not None:
                    done()
        self._unread = 0
        if not self._stop.is_set():
            self._complete = begun


def _is_mere_picture(card: Card) -> bool:
    """A picture among the embeddings that holds none."""
    return card.entry.path.suffix.lower() in PICTURES and bool(card.facts.problem)
