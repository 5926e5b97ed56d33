"""Sampling method, schedule type, steps and CFG scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components.base import Component

from modules.web.pages.text import text


@dataclass(frozen=True)
class SamplerPart:
    """Components of the sampler section."""

    sampler_name: gr.Dropdown
    scheduler: gr.Dropdown
    steps: gr.Slider
    cfg_scale: gr.Slider
    distilled_cfg_scale: gr.Slider

    @property
    def fields(self) -> dict[str, Component]:
        """Request name → component."""
        return {
            "sampler_name": self.sampler_name,
            "scheduler": self.scheduler,
            "steps": self.steps,
            "cfg_scale": self.cfg_scale,
            "distilled_cfg_scale": self.distilled_cfg_scale,
        }


def build(
    tab: str, samplers: list[str], schedulers: list[str], values: dict[str, Any]
) -> SamplerPart:
    """Place the sampler section; ``values`` are the form's defaults."""
    with gr.Column(elem_id=f"{tab}_sampler_card", elem_classes=["easel-card"]):
        with gr.Row(elem_id=f"{tab}_sampler_row"):
            sampler_name = gr.Dropdown(
                choices=samplers,
                value=values["sampler_name"],
                label=text("sampler"),
                elem_id=f"{tab}_sampling",
                min_width=150,
                interactive=True,
            )
            scheduler = gr.Dropdown(
                choices=schedulers,
                value=values["scheduler"],
                label=text("scheduler"),
                elem_id=f"{tab}_scheduler",
                min_width=150,
                interactive=True,
            )
        with gr.Row():
            steps = gr.Slider(
                1,
                150,
                values["steps"],
                step=1,
                label=text("steps"),
                elem_id=f"{tab}_steps",
                min_width=150,
                interactive=True,
                buttons=[],
            )
            cfg_scale = gr.Slider(
                1,
                30,
                values["cfg_scale"],
                step=0.5,
                label=text("cfg_scale"),
                elem_id=f"{tab}_cfg_scale",
                min_width=150,
                interactive=True,
                buttons=[],
            )
        # Shown while a model is chosen that is told a guidance (FLUX.1 dev).
        distilled_cfg_scale = gr.Slider(
            0,
            30,
            values["distilled_cfg_scale"],
            step=0.1,
            label=text("distilled_cfg_scale"),
            elem_id=f"{tab}_distilled_cfg_scale",
            elem_classes=["easel-guided-only"],
            interactive=True,
            buttons=[],
        )
    return SamplerPart(sampler_name, scheduler, steps, cfg_scale, distilled_cfg_scale)
