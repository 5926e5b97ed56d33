"""The Batch tab inside img2img: many pictures, uploaded or from a folder of the server."""

from __future__ import annotations

import gradio as gr
from gradio.components.base import Component

from modules.web.pages.parts.element import element
from modules.web.pages.parts.inputs import checkbox, textbox
from modules.web.pages.text import text

PNG_INFO = ("Prompt", "Negative prompt", "Seed", "CFG scale", "Sampler", "Steps", "Model hash")
"""Parameters that may be taken from each picture, under their names in an infotext."""


def build(tab: str) -> dict[str, Component]:
    """Place the tab's content; gives its fields, which ``static/img2img-batch.js`` turns into a
    batch."""
    with gr.Tabs(elem_id=f"{tab}_batch_source", selected="upload"):
        with gr.Tab(text("batch_upload"), id="upload", elem_id=f"{tab}_batch_upload"):
            element("easel-batch-files", id=f"{tab}_batch_files")
        with gr.Tab(text("batch_directory"), id="from_dir", elem_id=f"{tab}_batch_from_dir"):
            hint = text("batch_directory_hint")
            source = textbox("batch_input", f"{tab}_batch_input_dir", info=hint)
            target = textbox("batch_output", f"{tab}_batch_output_dir")
            masks = textbox("batch_masks", f"{tab}_batch_inpaint_mask_dir")
    with gr.Accordion(text("batch_png_info"), open=False, elem_id=f"{tab}_batch_png_info"):
        use = checkbox("batch_use_png_info", f"{tab}_batch_use_png_info")
        folder = textbox(
            "batch_png_info_dir", f"{tab}_batch_png_info_dir", info=text("batch_png_info_hint")
        )
        names = gr.CheckboxGroup(
            list(PNG_INFO),
            label=text("batch_png_info_props"),
            info=text("batch_png_info_props_hint"),
            elem_id=f"{tab}_batch_png_info_props",
            interactive=True,
        )
    element("easel-batch-results", id=f"{tab}_batch_results", tab=tab)
    return {
        "batch.directory": source,
        "batch.output_directory": target,
        "batch.mask_directory": masks,
        "batch.use_png_info": use,
        "batch.png_info_directory": folder,
        "batch.png_info_fields": names,
    }
