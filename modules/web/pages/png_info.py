"""The PNG Info tab: what a picture file says about its making."""

from __future__ import annotations

from modules.web.pages.parts.element import element


def build() -> None:
    """Place the tab's content, drawn by ``<easel-image-info>``."""
    element("easel-image-info", id="pnginfo")
