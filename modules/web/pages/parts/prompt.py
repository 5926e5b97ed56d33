"""Prompt and negative prompt with counters, warnings and the row of prompt tools."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.components.base import Component

from modules.web.pages.parts.element import element
from modules.web.pages.parts.tools import tool_button
from modules.web.pages.text import text


@dataclass(frozen=True)
class PromptPart:
    """Components of the prompt section."""

    prompt: gr.Textbox
    negative_prompt: gr.Textbox
    styles: gr.Dropdown
    apply_styles: gr.Button
    clear: gr.Button

    @property
    def fields(self) -> dict[str, Component]:
        """Request name → component."""
        return {
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "styles": self.styles,
        }


def build(tab: str, styles: list[str], *, compact: bool = False) -> PromptPart:
    """Place the prompt section of ``tab``; ``styles`` are the names to offer.

    ``compact`` saves height for a tab whose pictures come next; the boxes still grow as one types.
    """
    with gr.Column(elem_id=f"{tab}_toprow", elem_classes=["easel-card", "easel-prompts"]):
        prompt = gr.Textbox(
            label=text("prompt"),
            placeholder=text("prompt_placeholder"),
            lines=2 if compact else 3,
            max_lines=12,
            elem_id=f"{tab}_prompt",
            elem_classes=["easel-prompt"],
            interactive=True,
        )
        _status(tab, "prompt", f"{tab}_token_counter")
        negative = gr.Textbox(
            label=text("negative_prompt"),
            placeholder=text("negative_placeholder"),
            lines=1 if compact else 2,
            max_lines=8,
            elem_id=f"{tab}_neg_prompt",
            elem_classes=["easel-prompt"],
            interactive=True,
        )
        _status(tab, "neg_prompt", f"{tab}_negative_token_counter")
        with gr.Row(elem_id=f"{tab}_tools", elem_classes=["easel-tools"]):
            chosen = gr.Dropdown(
                choices=styles,
                value=[],
                multiselect=True,
                label=text("styles"),
                elem_id=f"{tab}_styles",
                scale=8,
                min_width=140,
                interactive=True,
            )
            apply_styles = tool_button("apply_styles", f"{tab}_style_apply", "apply")
            tool_button("edit_styles", f"{tab}_styles_edit_button", "edit")
            tool_button("read_parameters", f"{tab}_paste", "paste")
            clear = tool_button("clear_prompt", f"{tab}_clear_prompt", "trash")
        if not compact:
            element("easel-examples", tab=tab)
    return PromptPart(prompt, negative, chosen, apply_styles, clear)


def _status(tab: str, box: str, counter: str) -> None:
    element("easel-prompt-status", tab=tab, box=box, counter=counter)
