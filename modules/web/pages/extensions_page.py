"""The Extensions tab: installed ones, lists of others, an address, kept states."""

from __future__ import annotations

from modules.web.pages.parts.element import element


def build() -> None:
    """Place the tab's content, drawn by ``<easel-extensions>``."""
    element("easel-extensions", id="extensions")
