"""Override settings: what a read picture wants otherwise than the settings in force."""

from __future__ import annotations

import gradio as gr

from modules.web.pages.text import text


def build(tab: str) -> gr.Dropdown:
    """Place the list; it is hidden while it is empty."""
    return gr.Dropdown(
        choices=[],
        value=[],
        multiselect=True,
        allow_custom_value=True,
        label=text("override_settings"),
        info=text("override_settings_info"),
        elem_id=f"{tab}_override_settings",
        elem_classes=["easel-card"],
        visible=False,
        interactive=True,
    )
