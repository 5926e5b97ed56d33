"""The Settings tab, drawn from the option table by ``<easel-settings>``."""

from __future__ import annotations

import gradio as gr


def build() -> None:
    """Place the tab's content."""
    gr.HTML('<easel-settings id="settings"></easel-settings>')
