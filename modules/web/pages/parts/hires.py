"""Hires. fix: a second pass at a higher resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components.base import Component

from modules.web.pages.parts.inputs import dropdown, slider, textbox
from modules.web.pages.parts.switch import Switch, switch


@dataclass(frozen=True)
class HiresPart:
    """The section and its fields by request name."""

    switch: Switch
    fields: dict[str, Component]


def build(tab: str, lists: dict[str, list[str]], values: dict[str, Any]) -> HiresPart:
    """Place the section; ``lists`` are the page state's, ``values`` the form's defaults.

    Checkpoint, sampler, CFG scale and prompts of the second pass are there only when the settings
    ``hires_fix_show_sampler`` and ``hires_fix_show_prompts`` say so (a class on the page's body).
    """
    with switch("hr", f"{tab}_hr", aside="easel-hires-size", tab=tab) as part:
        with gr.Row(elem_id=f"{tab}_hires_fix_row1"):
            upscaler = dropdown(
                "hr_upscaler", f"{tab}_hr_upscaler", lists["hires_upscalers"], values["hr_upscaler"]
            )
            steps = slider("hr_steps", f"{tab}_hires_steps", 0, 150, 0, 1)
        with gr.Row(elem_id=f"{tab}_hires_fix_row2"):
            strength = slider(
                "denoising_strength",
                f"{tab}_denoising_strength",
                0,
                1,
                values["denoising_strength"],
                0.01,
            )
            scale = slider("hr_scale", f"{tab}_hr_scale", 1, 4, values["hr_scale"], 0.05)
        with gr.Row(elem_id=f"{tab}_hires_fix_row3"):
            width = slider("hr_resize_x", f"{tab}_hr_resize_x", 0, 2048, 0, 8)
            height = slider("hr_resize_y", f"{tab}_hr_resize_y", 0, 2048, 0, 8)
        with gr.Row(elem_id=f"{tab}_hires_fix_row4", elem_classes=["easel-hires-sampler"]):
            checkpoint = _choice("hr_checkpoint", lists["hires_checkpoints"], values)
            sampler = _choice("hr_sampler", lists["hires_samplers"], values)
            scheduler = _choice("hr_scheduler", lists["hires_schedulers"], values)
            cfg = slider("hr_cfg", f"{tab}_hr_cfg", 0, 30, values["hr_cfg"], 0.5)
        distilled = slider(
            "hr_distilled_cfg",
            f"{tab}_hr_distilled_cfg",
            0,
            30,
            values["hr_distilled_cfg"],
            0.1,
            elem_classes=["easel-guided-only"],
        )
        with gr.Column(elem_id=f"{tab}_hires_fix_row5", elem_classes=["easel-hires-prompts"]):
            prompt = textbox("hr_prompt", "hires_prompt", lines=2)
            negative = textbox("hr_negative_prompt", "hires_neg_prompt", lines=2)
    fields: dict[str, Component] = {
        "enable_hr": part.checkbox,
        "hr_upscaler": upscaler,
        "hr_second_pass_steps": steps,
        "denoising_strength": strength,
        "hr_scale": scale,
        "hr_resize_x": width,
        "hr_resize_y": height,
        "hr_checkpoint_name": checkpoint,
        "hr_sampler_name": sampler,
        "hr_scheduler": scheduler,
        "hr_cfg": cfg,
        "hr_distilled_cfg": distilled,
        "hr_prompt": prompt,
        "hr_negative_prompt": negative,
    }
    return HiresPart(part, fields)


def _choice(key: str, names: list[str], values: dict[str, Any]) -> gr.Dropdown:
    """A list whose first entry is "Use same …"; its id is A1111's, without a tab."""
    field = key if key == "hr_scheduler" else f"{key}_name"
    return dropdown(key, key, names, values[field])
