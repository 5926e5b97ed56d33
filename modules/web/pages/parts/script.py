"""The Script drop-down at the form's end; ``static/script.js`` fills it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from modules.web.pages.parts.element import element


def build(tab: str, plugins: Any = None) -> None:
    """Place it under A1111's name of the container, with the controls of extensions' scripts."""
    with gr.Column(elem_id=f"{tab}_script_container", elem_classes=["easel-card"]):
        element("easel-script", tab=tab)
        if plugins is not None:
            plugins.place_scripts(tab)
