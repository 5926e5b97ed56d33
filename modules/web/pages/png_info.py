"""The PNG Info tab: what a picture file says about its making."""

from __future__ import annotations

import gradio as gr


def build() -> None:
    """Place the tab's content, drawn by ``<easel-image-info>``."""
    gr.HTML('<easel-image-info id="pnginfo"></easel-image-info>')
