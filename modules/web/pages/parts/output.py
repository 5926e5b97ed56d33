"""The right column of a tab: Generate, Interrupt, Pause, Skip and, below, progress and results."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from modules.web.pages.parts.element import element
from modules.web.pages.parts.tools import tool_button
from modules.web.pages.text import text

PAINTING_TABS = ("txt2img", "img2img", "outpaint")
"""Their jobs can be put aside between two steps."""


@dataclass(frozen=True)
class OutputPart:
    """Components of the result column."""

    generate: gr.Button
    interrupt: gr.Button
    skip: gr.Button


def build(tab: str) -> OutputPart:
    """Place the result column of ``tab``; pictures are drawn by ``<easel-output>``."""
    with gr.Row(elem_id=f"{tab}_generate_box", elem_classes=["easel-actions"]):
        generate = gr.Button(
            text("generate"),
            variant="primary",
            size="lg",
            elem_id=f"{tab}_generate",
            elem_classes=["icon-spark"],
            scale=4,
            min_width=150,
        )
        interrupt = gr.Button(
            text("interrupt"),
            size="lg",
            elem_id=f"{tab}_interrupt",
            elem_classes=["icon-stop"],
            scale=1,
            min_width=110,
        )
        if tab in PAINTING_TABS:
            tool_button("pause", f"{tab}_pause", "pause")
        skip = gr.Button(
            text("skip"),
            size="lg",
            elem_id=f"{tab}_skip",
            elem_classes=["icon-skip"],
            scale=1,
            min_width=90,
        )
    element("easel-output", id=f"{tab}_results", tab=tab)
    return OutputPart(generate, interrupt, skip)
