"""The Models tab: downloads, and the ledger of licences."""

from __future__ import annotations

from modules.web.pages.parts.element import element


def build() -> None:
    """Place the tab's content, drawn by ``<easel-models>``."""
    element("easel-models", id="models")
