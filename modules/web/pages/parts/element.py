"""Places for our own custom elements (``static/*.js``) among Gradio's components."""

from __future__ import annotations

from html import escape

import gradio as gr


def element(tag: str, elem_id: str | None = None, **attributes: str) -> gr.HTML:
    """An empty ``<tag>`` that its script fills; ``elem_id`` names the block round it."""
    written = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
    return gr.HTML(
        f"<{tag}{written}></{tag}>", elem_id=elem_id, apply_default_css=False, padding=False
    )
