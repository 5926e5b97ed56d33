"""Detailer: found faces are repainted at full resolution by the current model."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.components.base import Component

from modules.requests.generation import Detailer
from modules.web.pages.parts.inputs import slider, textbox
from modules.web.pages.parts.switch import Switch, switch
from modules.web.pages.text import text


@dataclass(frozen=True)
class DetailerPart:
    """The section and its fields by request name."""

    switch: Switch
    fields: dict[str, Component]


def build(tab: str) -> DetailerPart:
    """Place the section, off as it is at the start."""
    start = Detailer()
    name = f"{tab}_detailer"
    with switch("detailer", name) as part:
        prompt = textbox(
            "detailer_prompt",
            f"{name}_prompt",
            lines=1,
            placeholder=text("detailer_prompt_placeholder"),
        )
        negative = textbox("detailer_negative", f"{name}_neg_prompt", lines=1)
        with gr.Row():
            strength = slider("detailer_strength", f"{name}_strength", 0, 1, start.strength, 0.01)
            padding = slider("detailer_padding", f"{name}_padding", 0, 256, start.padding, 4)
        with gr.Row():
            blur = slider("detailer_mask_blur", f"{name}_mask_blur", 0, 64, start.mask_blur, 1)
            size = slider("detailer_size", f"{name}_size", 0, 2048, start.size, 64)
        with gr.Row():
            faces = slider("detailer_max_faces", f"{name}_max_faces", 1, 64, start.max_faces, 1)
            sure = slider("detailer_confidence", f"{name}_confidence", 0, 1, start.confidence, 0.01)
    fields: dict[str, Component] = {
        "detailer.enabled": part.checkbox,
        "detailer.prompt": prompt,
        "detailer.negative_prompt": negative,
        "detailer.strength": strength,
        "detailer.padding": padding,
        "detailer.mask_blur": blur,
        "detailer.size": size,
        "detailer.max_faces": faces,
        "detailer.confidence": sure,
    }
    return DetailerPart(part, fields)
