"""Sliders, dropdowns, boxes with the settings that all of them share on this page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from modules.web.pages.text import text


def slider(
    key: str, elem_id: str, low: float, high: float, value: float, step: float, **more: Any
) -> gr.Slider:
    """A slider called ``form.<key>``."""
    more.setdefault("min_width", 140)
    return gr.Slider(
        low,
        high,
        value,
        step=step,
        label=text(key),
        elem_id=elem_id,
        interactive=True,
        buttons=[],
        **more,
    )


def dropdown(
    key: str, elem_id: str, choices: Sequence[str], value: str | None, **more: Any
) -> gr.Dropdown:
    """A list called ``form.<key>`` to choose one from."""
    more.setdefault("min_width", 150)
    return gr.Dropdown(
        choices=list(choices),
        value=value,
        label=text(key),
        elem_id=elem_id,
        interactive=True,
        **more,
    )


def checkbox(key: str, elem_id: str, value: bool = False, **more: Any) -> gr.Checkbox:
    """A checkbox called ``form.<key>``."""
    more.setdefault("min_width", 120)
    return gr.Checkbox(value, label=text(key), elem_id=elem_id, interactive=True, **more)


def textbox(key: str, elem_id: str, *, lines: int = 1, **more: Any) -> gr.Textbox:
    """A text box called ``form.<key>``."""
    return gr.Textbox(
        label=text(key),
        elem_id=elem_id,
        lines=lines,
        max_lines=max(lines, 8) if lines > 1 else 1,
        interactive=True,
        **more,
    )
