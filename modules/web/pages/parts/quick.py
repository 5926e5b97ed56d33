"""The bar above the tabs: brand, the quick settings, and the program's state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components.base import Component
from gradio.i18n import I18nData

from modules.settings.options import Option
from modules.web.pages import state
from modules.web.pages.parts.element import element
from modules.web.pages.parts.tools import tool_button

WIDTHS = {"sd_model_checkpoint": (5, 180), "sd_vae": (2, 130)}
"""Share of the bar and least width in pixels, where it is not the usual (1, 100)."""


@dataclass(frozen=True)
class QuickPart:
    """Components of the quick settings; ``fields`` maps setting → component."""

    fields: dict[str, Component]


def build(context: Any) -> QuickPart:
    """Place the bar above the tabs."""
    fields: dict[str, Component] = {}
    with gr.Row(elem_id="quicksettings"):
        element("easel-brand", "easel_brand")
        for key in state.quick_keys(context):
            fields[key] = _field(context, context.options.table[key])
            if key == "sd_model_checkpoint":
                tool_button("refresh_checkpoints", "refresh_sd_model_checkpoint", "refresh")
        element("easel-status", "easel_status")
    return QuickPart(fields)


def _field(context: Any, option: Option) -> Component:
    scale, least = WIDTHS.get(option.key, (1, 100))
    common: dict[str, Any] = {
        "label": I18nData(f"option.{option.key}"),
        "elem_id": f"setting_{option.key}",
        "scale": scale,
        "min_width": least,
        "interactive": True,
    }
    value = context.options.get(option.key)
    choices = _choices(context, option)
    if option.key == "sd_model_checkpoint":
        checkpoint = context.catalog.default_checkpoint()
        value = checkpoint.title if checkpoint else None
    if option.kind == "bool":
        return gr.Checkbox(value, **common)
    if option.kind in ("int", "float"):
        return gr.Number(
            value,
            minimum=option.minimum,
            maximum=option.maximum,
            step=option.step or 1,
            precision=0 if option.kind == "int" else None,
            **common,
        )
    if choices is not None:
        return gr.Dropdown(
            choices,
            value=value,
            multiselect=option.kind == "multi",
            allow_custom_value=True,
            **common,
        )
    return gr.Textbox(value, **common)


def _choices(context: Any, option: Option) -> list[str] | None:
    if option.dynamic == "checkpoints":
        return state.checkpoint_titles(context)
    if option.dynamic == "vaes":
        return state.vae_names(context)
    return list(option.choices) if option.kind in ("choice", "multi") else None
