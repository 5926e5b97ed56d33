"""The Queue tab: what runs, what waits, what is done."""

from __future__ import annotations

import gradio as gr


def build() -> None:
    """Place the tab's content, drawn by ``<easel-queue>``."""
    gr.HTML('<easel-queue id="queue_panel"></easel-queue>')
