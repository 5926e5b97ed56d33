"""A section whose head is a checkbox: while it is off, the section does nothing and is closed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import gradio as gr

from modules.web.pages.parts.element import element
from modules.web.pages.text import text


@dataclass(frozen=True)
class Switch:
    """Components of one such section."""

    checkbox: gr.Checkbox
    body: gr.Column


@contextmanager
def switch(
    key: str, elem_id: str, *, on: bool = False, aside: str = "", **attributes: str
) -> Iterator[Switch]:
    """Place a section; what is built inside the ``with`` is hidden while the checkbox is off.

    Args:
        key: the checkbox's text is ``form.<key>``.
        elem_id: of the section; the checkbox gets ``<elem_id>-checkbox`` as in A1111.
        on: how it starts.
        aside: an own element shown beside the checkbox, with ``attributes``.
    """
    with gr.Column(elem_id=elem_id, elem_classes=["easel-card", "easel-switch"]):
        with gr.Row(elem_classes=["easel-switch-head"]):
            checkbox = gr.Checkbox(
                value=on,
                label=text(key),
                elem_id=f"{elem_id}-checkbox",
                scale=1,
                min_width=120,
                interactive=True,
            )
            if aside:
                element(aside, **attributes)
        with gr.Column(visible=on, elem_id=f"{elem_id}_body") as body:
            yield Switch(checkbox, body)
