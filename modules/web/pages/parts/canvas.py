"""``<easel-canvas>``: a picture to look at, paint on or mask."""

from __future__ import annotations

from typing import Literal

import gradio as gr

from modules.web.pages.parts.element import element

Mode = Literal["view", "mask", "sketch", "maskpaint"]
"""A picture only; a mask over it; colour over it; colour whose area is the mask."""


def build(
    elem_id: str, mode: Mode = "view", label: str = "", hint: str = "", *, named: bool = False
) -> gr.HTML:
    """Place a canvas; ``label`` and ``hint`` are keys of the texts.

    With ``named`` the label stays below the picture too.
    """
    attributes = {"id": elem_id, "mode": mode}
    if named:
        attributes["named"] = "named"
    if label:
        attributes["label"] = label
    if hint:
        attributes["hint"] = hint
    return element("easel-canvas", **attributes)
