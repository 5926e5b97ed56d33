"""One of few choices side by side; the value lives in a hidden field of the form."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr
from gradio.components.base import Component

from modules.web.pages.parts.element import element


def segments(
    tab: str,
    field: str,
    label: str,
    choices: Mapping[str, str],
    value: str | int | bool,
    *,
    titled: bool = False,
) -> Component:
    """Place ``<easel-segments>`` for ``field``.

    Args:
        tab: whose form has the field.
        field: name in the request; dots for nested ones.
        label: text key that screen readers hear, and everyone sees with ``titled``.
        choices: value as text → text key.
        value: at the start; its type is the field's.
        titled: show the label above.

    Returns:
        The hidden component that carries the value.
    """
    options = ",".join(f"{name}:{key}" for name, key in choices.items())
    more = {"titled": "yes"} if titled else {}
    element("easel-segments", tab=tab, field=field, label=label, options=options, **more)
    name = f"{tab}_{field.replace('.', '_')}"
    hidden = {"elem_id": name, "elem_classes": ["easel-hidden"], "interactive": True}
    if isinstance(value, bool):
        return gr.Checkbox(value, label=name, **hidden)
    if isinstance(value, int):
        return gr.Number(value, precision=0, label=name, **hidden)
    return gr.Textbox(value, label=name, **hidden)
