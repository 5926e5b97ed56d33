"""The tabs of cards under a prompt, and the place of everything that is not cards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from modules.web.pages.parts.element import element


@contextmanager
def generation(tab: str) -> Iterator[None]:
    """Place ``<easel-card-tabs>``, which shows cards instead of what is built inside this."""
    element("easel-card-tabs", id=f"{tab}_extra_tabs", tab=tab)
    with gr.Column(elem_id=f"{tab}_generation", elem_classes=["easel-generation"]):
        yield
