"""Seed with dice and recycle, and the variation and resize extras behind a checkbox."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.components.base import Component

from modules.web.pages.parts.tools import tool_button
from modules.web.pages.text import text


@dataclass(frozen=True)
class SeedPart:
    """Components of the seed section."""

    seed: gr.Number
    random_seed: gr.Button
    reuse_seed: gr.Button
    seed_extra: gr.Checkbox
    extras: gr.Column
    subseed: gr.Number
    random_subseed: gr.Button
    reuse_subseed: gr.Button
    subseed_strength: gr.Slider
    seed_resize_from_w: gr.Slider
    seed_resize_from_h: gr.Slider

    @property
    def fields(self) -> dict[str, Component]:
        """Request name → component."""
        return {
            "seed": self.seed,
            "seed_extra": self.seed_extra,
            "subseed": self.subseed,
            "subseed_strength": self.subseed_strength,
            "seed_resize_from_w": self.seed_resize_from_w,
            "seed_resize_from_h": self.seed_resize_from_h,
        }


def build(tab: str) -> SeedPart:
    """Place the seed section of ``tab``."""
    with gr.Column(elem_id=f"{tab}_seed_card", elem_classes=["easel-card"]):
        with gr.Row(elem_id=f"{tab}_seed_row", elem_classes=["easel-tools"]):
            seed = _number("seed", f"{tab}_seed")
            random_seed = tool_button("random_seed", f"{tab}_random_seed", "dice")
            reuse_seed = tool_button("reuse_seed", f"{tab}_reuse_seed", "recycle")
            seed_extra = gr.Checkbox(
                value=False,
                label=text("seed_extra"),
                elem_id=f"{tab}_subseed_show",
                scale=1,
                min_width=80,
                interactive=True,
            )
        with gr.Column(visible=False, elem_id=f"{tab}_seed_extras") as extras:
            with gr.Row(elem_classes=["easel-tools"]):
                subseed = _number("subseed", f"{tab}_subseed")
                random_subseed = tool_button("random_subseed", f"{tab}_random_subseed", "dice")
                reuse_subseed = tool_button("reuse_subseed", f"{tab}_reuse_subseed", "recycle")
                strength = _slider("subseed_strength", f"{tab}_subseed_strength", 1, 0.01)
            with gr.Row():
                from_w = _slider("seed_resize_from_w", f"{tab}_seed_resize_from_w", 2048, 8)
                from_h = _slider("seed_resize_from_h", f"{tab}_seed_resize_from_h", 2048, 8)
    return SeedPart(
        seed=seed,
        random_seed=random_seed,
        reuse_seed=reuse_seed,
        seed_extra=seed_extra,
        extras=extras,
        subseed=subseed,
        random_subseed=random_subseed,
        reuse_subseed=reuse_subseed,
        subseed_strength=strength,
        seed_resize_from_w=from_w,
        seed_resize_from_h=from_h,
    )


def _number(key: str, elem_id: str) -> gr.Number:
    return gr.Number(
        -1, label=text(key), elem_id=elem_id, precision=0, scale=4, min_width=120, interactive=True
    )


def _slider(key: str, elem_id: str, most: float, step: float) -> gr.Slider:
    return gr.Slider(
        0,
        most,
        0,
        step=step,
        label=text(key),
        elem_id=elem_id,
        scale=4,
        min_width=140,
        interactive=True,
        buttons=[],
    )
