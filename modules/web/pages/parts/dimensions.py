"""Picture size with swap and common shapes, and how many pictures to make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components.base import Component

from modules.web.pages.parts.element import element
from modules.web.pages.parts.tools import tool_button
from modules.web.pages.text import text


@dataclass(frozen=True)
class DimensionsPart:
    """Components of the size and batch section."""

    width: gr.Slider
    height: gr.Slider
    swap: gr.Button
    n_iter: gr.Slider
    batch_size: gr.Slider

    @property
    def fields(self) -> dict[str, Component]:
        """Request name → component."""
        return {
            "width": self.width,
            "height": self.height,
            "n_iter": self.n_iter,
            "batch_size": self.batch_size,
        }


def build(tab: str, values: dict[str, Any]) -> DimensionsPart:
    """Place the size and batch section; ``values`` are the form's defaults."""
    with gr.Column(elem_id=f"{tab}_dimensions", elem_classes=["easel-card"]):
        with gr.Row(elem_classes=["easel-size-row"]):
            width = side(tab, "width", values["width"])
            swap = tool_button("swap", f"{tab}_res_switch_btn", "swap")
            height = side(tab, "height", values["height"])
        element("easel-shapes", tab=tab)
        with gr.Row():
            n_iter = count(tab, "batch_count", 100)
            batch_size = count(tab, "batch_size", 8)
    return DimensionsPart(width, height, swap, n_iter, batch_size)


def side(tab: str, name: str, value: int) -> gr.Slider:
    """Width or height in pixels."""
    return gr.Slider(
        64,
        2048,
        value,
        step=8,
        label=text(name),
        elem_id=f"{tab}_{name}",
        min_width=140,
        interactive=True,
        buttons=[],
    )


def count(tab: str, name: str, most: int) -> gr.Slider:
    """Batch count or batch size."""
    return gr.Slider(
        1,
        most,
        1,
        step=1,
        label=text(name),
        elem_id=f"{tab}_{name}",
        min_width=140,
        interactive=True,
        buttons=[],
    )
