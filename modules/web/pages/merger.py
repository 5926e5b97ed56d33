"""The Checkpoint Merger tab: one checkpoint of two or three, and models in another form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components.base import Component

from modules.requests.models import CONFIG_SOURCES
from modules.web.pages import defaults, state
from modules.web.pages.fields import FormFields
from modules.web.pages.parts.element import element
from modules.web.pages.parts.inputs import checkbox, dropdown, slider, textbox
from modules.web.pages.parts.output import OutputPart
from modules.web.pages.parts.segments import segments
from modules.web.pages.parts.switch import Switch, switch
from modules.web.pages.parts.tools import tool_button
from modules.web.pages.text import text

TAB, CONVERT = "modelmerger", "modelconvert"


@dataclass(frozen=True)
class ModelForm:
    """Everything the wiring needs of one of the two forms."""

    fields: FormFields
    output: OutputPart
    switches: tuple[Switch, ...]


def build(context: Any) -> tuple[ModelForm, ModelForm]:
    """Place the tab's content; called inside its ``gr.Tab``."""
    lists = state.form_lists(context)
    with gr.Row(elem_id=f"{TAB}_workspace", elem_classes=["easel-workspace"], equal_height=False):
        with (
            gr.Column(scale=6, min_width=340, elem_id=f"{TAB}_settings"),
            gr.Tabs(elem_id=f"{TAB}_tabs", selected="merge"),
        ):
            with gr.Tab(text("merger_merge_tab"), id="merge", elem_id=f"{TAB}_merge_tab"):
                merge_fields, merge_button, switches = _merge(lists)
            with gr.Tab(text("merger_convert_tab"), id="convert", elem_id=f"{TAB}_convert_tab"):
                convert_fields, convert_button = _convert(lists)
        with gr.Column(
            scale=5,
            min_width=320,
            elem_id=f"{TAB}_results_container",
            elem_classes=["easel-sticky"],
        ):
            interrupt = gr.Button(
                text("interrupt"),
                size="lg",
                elem_id=f"{TAB}_interrupt",
                elem_classes=["icon-stop"],
                min_width=110,
            )
            element("easel-model-job", id=f"{TAB}_results_panel")
    return (
        ModelForm(
            FormFields(TAB, merge_fields),
            OutputPart(merge_button, interrupt, interrupt),
            switches,
        ),
        ModelForm(
            FormFields(CONVERT, convert_fields),
            OutputPart(convert_button, interrupt, interrupt),
            (),
        ),
    )


Fields = dict[str, Component]


def _merge(lists: dict[str, list[str]]) -> tuple[Fields, gr.Button, tuple[Switch, ...]]:
    values = defaults.merger()
    with gr.Column(elem_classes=["easel-card"], elem_id=f"{TAB}_models"):
        method = segments(
            TAB,
            "interp_method",
            "merger.method",
            {
                "Weighted sum": "merger.weighted_sum",
                "Add difference": "merger.add_difference",
                "No interpolation": "merger.no_interpolation",
            },
            values["interp_method"],
            titled=True,
        )
        element("easel-merge-formula", id=f"{TAB}_interp_description")
        with gr.Row():
            a = dropdown(
                "merger_a", f"{TAB}_primary_model_name", lists["checkpoints"], None, scale=10
            )
            tool_button("refresh_checkpoints", f"{TAB}_refresh_models", "refresh")
        others = lists["optional_checkpoints"]
        b = dropdown("merger_b", f"{TAB}_secondary_model_name", others, defaults.NO_MODEL)
        c = dropdown("merger_c", f"{TAB}_tertiary_model_name", others, defaults.NO_MODEL)
        m = slider("merger_m", f"{TAB}_interp_amount", 0, 1, values["multiplier"], 0.05)
    with switch("merger_blocks", f"{TAB}_block_weights") as blocks:
        element("easel-merge-blocks", id=f"{TAB}_blocks")
        weights = textbox(
            "merger_block_weights",
            f"{TAB}_block_weights_text",
            lines=2,
            placeholder="0, 0.1, 0.2, …",
        )
    result = _merge_result(lists, values)
    metadata, metadata_fields = _metadata(values)
    button = gr.Button(
        text("merger_merge"),
        variant="primary",
        size="lg",
        elem_id=f"{TAB}_merge",
        elem_classes=["icon-spark"],
    )
    fields: Fields = {
        "primary_model_name": a,
        "secondary_model_name": b,
        "tertiary_model_name": c,
        "interp_method": method,
        "multiplier": m,
        "blocks_enabled": blocks.checkbox,
        "block_weights": weights,
        **result,
        "save_metadata": metadata.checkbox,
        **metadata_fields,
    }
    return fields, button, (blocks, metadata)


def _merge_result(lists: dict[str, list[str]], values: dict[str, Any]) -> Fields:
    with gr.Column(elem_classes=["easel-card"]):
        name = textbox(
            "merger_name", f"{TAB}_custom_name", placeholder=text("merger_name_placeholder")
        )
        with gr.Row():
            half = checkbox("merger_half", f"{TAB}_save_as_half")
            overwrite = checkbox("merger_overwrite", f"{TAB}_overwrite")
        with gr.Row():
            vae = dropdown(
                "merger_vae", f"{TAB}_bake_in_vae", lists["baked_vaes"], values["bake_in_vae"]
            )
            config = dropdown(
                "merger_config",
                f"{TAB}_config_method",
                list(CONFIG_SOURCES),
                values["config_source"],
            )
        discard = textbox("merger_discard", f"{TAB}_discard_weights", placeholder="^model_ema")
    return {
        "custom_name": name,
        "save_as_half": half,
        "overwrite": overwrite,
        "bake_in_vae": vae,
        "config_source": config,
        "discard_weights": discard,
    }


def _metadata(values: dict[str, Any]) -> tuple[Switch, Fields]:
    with switch("merger_metadata", f"{TAB}_save_metadata", on=True) as metadata:
        with gr.Row():
            recipe = checkbox("merger_recipe", f"{TAB}_add_recipe", values["add_merge_recipe"])
            copied = checkbox("merger_copy", f"{TAB}_copy_metadata", values["copy_metadata_fields"])
        content = textbox(
            "merger_json", f"{TAB}_metadata_json", lines=3, placeholder='{"author": "…"}'
        )
        gr.Button(text("merger_read"), size="sm", elem_id=f"{TAB}_read_metadata")
    return metadata, {
        "add_merge_recipe": recipe,
        "copy_metadata_fields": copied,
        "metadata_json": content,
    }


def _convert(lists: dict[str, list[str]]) -> tuple[Fields, gr.Button]:
    values = defaults.convert()
    with gr.Column(elem_classes=["easel-card"], elem_id=f"{CONVERT}_model"):
        with gr.Row():
            model = dropdown(
                "convert_model", f"{CONVERT}_model_name", lists["convertible"], None, scale=10
            )
            tool_button("refresh_checkpoints", f"{CONVERT}_refresh_models", "refresh")
        to = segments(
            CONVERT,
            "to",
            "merger.to",
            {"safetensors": "merger.to_file", "diffusers": "merger.to_folder"},
            values["to"],
            titled=True,
        )
        dtype = segments(
            CONVERT,
            "dtype",
            "merger.dtype",
            {
                "keep": "merger.dtype_keep",
                "fp16": "merger.fp16",
                "bf16": "merger.bf16",
                "fp32": "merger.fp32",
            },
            values["dtype"],
            titled=True,
        )
        ema = segments(
            CONVERT,
            "ema",
            "merger.ema",
            {"drop": "merger.ema_drop", "use": "merger.ema_use", "keep": "merger.ema_keep"},
            values["ema"],
            titled=True,
        )
        prune = checkbox("convert_prune", f"{CONVERT}_prune", values["prune"])
    with gr.Column(elem_classes=["easel-card"]):
        name = textbox(
            "merger_name", f"{CONVERT}_custom_name", placeholder=text("convert_name_placeholder")
        )
        overwrite = checkbox("merger_overwrite", f"{CONVERT}_overwrite")
    button = gr.Button(
        text("convert_convert"),
        variant="primary",
        size="lg",
        elem_id=f"{CONVERT}_convert",
        elem_classes=["icon-spark"],
    )
    fields: Fields = {
        "model_name": model,
        "to": to,
        "dtype": dtype,
        "ema": ema,
        "prune": prune,
        "custom_name": name,
        "overwrite": overwrite,
    }
    return fields, button
