"""What inpainting does with the mask; shown on the three inpaint tabs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components.base import Component

from modules.web.pages.parts.inputs import slider
from modules.web.pages.parts.switch import Switch, switch
from modules.web.pages.text import text

SOFT = (
    # field, A1111's element id, least, most, step
    ("schedule_bias", "mask_blend_power", 0, 8, 0.1),
    ("preservation_strength", "mask_blend_scale", 0, 8, 0.05),
    ("transition_contrast_boost", "inpaint_detail_preservation", 1, 32, 0.5),
    ("mask_influence", "composite_mask_influence", 0, 1, 0.05),
    ("difference_threshold", "composite_difference_threshold", 0, 8, 0.25),
    ("difference_contrast", "composite_difference_contrast", 0, 8, 0.25),
)


@dataclass(frozen=True)
class InpaintPart:
    """The section and its fields by request name."""

    switch: Switch
    fields: dict[str, Component]


def build(tab: str, values: dict[str, Any]) -> InpaintPart:
    """Place mask, content and area controls, and soft inpainting behind a switch."""
    with gr.Column(elem_id="inpaint_controls", elem_classes=["easel-card"]):
        with gr.Row():
            blur = slider("mask_blur", f"{tab}_mask_blur", 0, 64, values["mask_blur"], 1)
            alpha = slider("mask_alpha", f"{tab}_mask_alpha", 0, 100, values["mask_alpha"], 1)
        invert = radio(
            "inpainting_mask_invert", f"{tab}_mask_mode", ("mask_inside", "mask_outside"), 0
        )
        fill = radio(
            "inpainting_fill",
            f"{tab}_inpainting_fill",
            ("fill_fill", "fill_original", "fill_noise", "fill_nothing"),
            values["inpainting_fill"],
        )
        with gr.Row():
            area = radio(
                "inpaint_full_res", f"{tab}_inpaint_full_res", ("area_whole", "area_masked"), 0
            )
            padding = slider(
                "inpaint_full_res_padding",
                f"{tab}_inpaint_full_res_padding",
                0,
                256,
                values["inpaint_full_res_padding"],
                4,
            )
    with switch("soft_inpainting", "soft_inpainting_enabled") as soft:
        sliders = {}
        for first, second in zip(SOFT[::2], SOFT[1::2], strict=True):
            with gr.Row():
                for name, elem_id, least, most, step in (first, second):
                    field = f"soft_inpainting.{name}"
                    sliders[field] = slider(
                        f"soft_{name}", elem_id, least, most, values[field], step
                    )
    fields: dict[str, Component] = {
        "mask_blur": blur,
        "mask_alpha": alpha,
        "inpainting_mask_invert": invert,
        "inpainting_fill": fill,
        "inpaint_full_res": area,
        "inpaint_full_res_padding": padding,
        "soft_inpainting.enabled": soft.checkbox,
        **sliders,
    }
    return InpaintPart(soft, fields)


def radio(key: str, elem_id: str, choices: tuple[str, ...], value: int) -> gr.Radio:
    """A choice called ``form.<key>`` whose value is the number of the chosen text."""
    return gr.Radio(
        [(text(choice), number) for number, choice in enumerate(choices)],
        value=value,
        label=text(key),
        elem_id=elem_id,
        elem_classes=["easel-segments"],
        min_width=200,
        interactive=True,
    )
