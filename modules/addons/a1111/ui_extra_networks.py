"""A1111's ``ui_extra_networks``: the base of pages of cards; the page has cards of its own."""

from __future__ import annotations

import os
from typing import Any

extra_pages: list[Any] = []
allowed_dirs: set[str] = set()


class ExtraNetworksPage:
    """A page of cards as an extension describes it."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.name = title.lower()
        self.id_page = self.name.replace(" ", "_")
        self.extra_networks_tabname = self.id_page
        self.allow_prompt = True
        self.allow_negative_prompt = True
        self.metadata: dict[str, Any] = {}
        self.items: dict[str, Any] = {}
        self.lister: Any = None

    def refresh(self) -> None:
        """Read the folders again."""

    def list_items(self) -> Any:
        """All cards."""
        return []

    def allowed_directories_for_previews(self) -> list[str]:
        """Folders with previews."""
        return []

    def search_terms_from_path(self, filename: str, possible_directories: Any = None) -> str:
        """What finds a file."""
        return os.path.basename(filename)

    def link_preview(self, filename: str) -> str:
        """The address of a preview."""
        return f"./file={filename}"

    def find_preview(self, path: str) -> str | None:
        """A preview beside a file."""
        for suffix in ("png", "jpg", "jpeg", "webp"):
            for name in (f"{path}.preview.{suffix}", f"{path}.{suffix}"):
                if os.path.isfile(name):
                    return self.link_preview(name)
        return None

    def find_description(self, path: str) -> str | None:
        """A description beside a file."""
        return None


def register_page(page: ExtraNetworksPage) -> None:
    """Note a page."""
    extra_pages.append(page)


def register_default_pages() -> None:
    """The page has its own."""


def quote_js(s: str) -> str:
    """A text in a script."""
    return '"' + str(s).replace("\\", "\\\\").replace('"', '\\"') + '"'


def initialize() -> None:
    """Nothing to do."""
