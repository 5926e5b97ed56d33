"""The Settings tab, drawn from the option table by ``<easel-settings>``."""

from __future__ import annotations

from modules.web.pages.parts.element import element


def build() -> None:
    """Place the tab's content."""
    element("easel-settings", id="settings")
