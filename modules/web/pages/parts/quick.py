"""The bar above the tabs: checkpoint, VAE, clip skip, and the program's state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from modules.web.pages import state
from modules.web.pages.parts.element import element
from modules.web.pages.parts.tools import tool_button
from modules.web.pages.text import text


@dataclass(frozen=True)
class QuickPart:
    """Components of the quick settings; ``fields`` maps setting → component."""

    fields: dict[str, Any]


def build(context: Any) -> QuickPart:
    """Place the bar above the tabs."""
    checkpoint = state.chosen_checkpoint(context)
    with gr.Row(elem_id="quicksettings"):
        element("easel-brand", "easel_brand")
        chosen = gr.Dropdown(
            choices=state.checkpoint_titles(context),
            value=checkpoint.title if checkpoint else None,
            label=text("checkpoint"),
            elem_id="setting_sd_model_checkpoint",
            scale=5,
            min_width=180,
            interactive=True,
        )
        tool_button("refresh_checkpoints", "refresh_sd_model_checkpoint", "refresh")
        vae = gr.Dropdown(
            choices=state.vae_names(context),
            value=context.options.get("sd_vae"),
            label=text("vae"),
            elem_id="setting_sd_vae",
            scale=2,
            min_width=130,
            allow_custom_value=True,
            interactive=True,
        )
        clip_skip = gr.Number(
            value=context.options.get("CLIP_stop_at_last_layers"),
            label=text("clip_skip"),
            elem_id="setting_CLIP_stop_at_last_layers",
            precision=0,
            minimum=1,
            maximum=12,
            step=1,
            scale=1,
            min_width=84,
            interactive=True,
        )
        element("easel-status", "easel_status")
    return QuickPart(
        {
            "sd_model_checkpoint": chosen,
            "sd_vae": vae,
            "CLIP_stop_at_last_layers": clip_skip,
        }
    )
