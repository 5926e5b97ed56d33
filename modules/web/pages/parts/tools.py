"""Small square buttons with an icon; their text is for screen readers and the tooltip."""

from __future__ import annotations

import gradio as gr

from modules.web.pages.text import text


def tool_button(key: str, elem_id: str, icon: str) -> gr.Button:
    """A button that shows ``icon`` (a name of ``icons.css``) and is called ``form.<key>``."""
    return gr.Button(
        text(key),
        elem_id=elem_id,
        elem_classes=["tool", f"icon-{icon}"],
        size="sm",
        scale=0,
        min_width=36,
    )
