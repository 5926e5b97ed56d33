"""Refiner: another checkpoint takes over for the last part of the sampling."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.components.base import Component

from modules.web.pages.parts.inputs import dropdown, slider
from modules.web.pages.parts.switch import Switch, switch


@dataclass(frozen=True)
class RefinerPart:
    """The section and its fields by request name."""

    switch: Switch
    fields: dict[str, Component]


def build(tab: str, checkpoints: list[str]) -> RefinerPart:
    """Place the section; ``checkpoints`` are the titles to offer."""
    with switch("refiner", f"{tab}_enable") as part, gr.Row():
        checkpoint = dropdown("refiner_checkpoint", f"{tab}_checkpoint", checkpoints, None)
        switch_at = slider("refiner_switch_at", f"{tab}_switch_at", 0.01, 1, 0.8, 0.01)
    fields: dict[str, Component] = {
        "refiner_enabled": part.checkbox,
        "refiner_checkpoint": checkpoint,
        "refiner_switch_at": switch_at,
    }
    return RefinerPart(part, fields)
