"""The Queue tab: what runs, what waits, what is done."""

from __future__ import annotations

from modules.web.pages.parts.element import element


def build() -> None:
    """Place the tab's content, drawn by ``<easel-queue>``."""
    element("easel-queue", id="queue_panel")
