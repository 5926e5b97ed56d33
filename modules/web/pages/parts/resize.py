"""Size of an img2img result: to a width and height, or by a factor of the picture's own size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components.base import Component

from modules.web.pages.parts import dimensions
from modules.web.pages.parts.element import element
from modules.web.pages.parts.inputs import slider
from modules.web.pages.parts.tools import tool_button
from modules.web.pages.text import text


@dataclass(frozen=True)
class ResizePart:
    """Components of the size and batch section."""

    size: dimensions.DimensionsPart
    scale: gr.Slider

    @property
    def fields(self) -> dict[str, Component]:
        """Request name → component."""
        return {**self.size.fields, "scale_by": self.scale}


def build(tab: str, values: dict[str, Any]) -> ResizePart:
    """Place the section; which of its two tabs is open decides (``static/img2img.js``)."""
    with gr.Column(elem_id=f"{tab}_dimensions", elem_classes=["easel-card"]):
        with gr.Tabs(elem_id=f"{tab}_tabs_resize", selected="to"):
            with gr.Tab(text("resize_to"), id="to", elem_id=f"{tab}_tab_resize_to"):
                with gr.Row(elem_classes=["easel-size-row"]):
                    width = dimensions.side(tab, "width", values["width"])
                    swap = tool_button("swap", f"{tab}_res_switch_btn", "swap")
                    height = dimensions.side(tab, "height", values["height"])
                    tool_button("take_size", f"{tab}_detect_image_size_btn", "measure")
                element("easel-shapes", tab=tab)
            with gr.Tab(text("resize_by"), id="by", elem_id=f"{tab}_tab_resize_by"):
                scale = slider("scale_by", f"{tab}_scale", 0.05, 4, values["scale_by"], 0.05)
                element("easel-scaled-size", id=f"{tab}_scale_resolution_preview")
        with gr.Row():
            n_iter = dimensions.count(tab, "batch_count", 100)
            batch_size = dimensions.count(tab, "batch_size", 8)
    size = dimensions.DimensionsPart(width, height, swap, n_iter, batch_size)
    return ResizePart(size, scale)
