"""The Extras tab: enlarge and repair finished pictures, one, several or a whole directory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components.base import Component

from modules.web.pages import defaults, state
from modules.web.pages.fields import FormFields
from modules.web.pages.parts import dataset, output
from modules.web.pages.parts.element import element
from modules.web.pages.parts.inputs import checkbox, dropdown, slider, textbox
from modules.web.pages.parts.segments import segments
from modules.web.pages.parts.switch import Switch, switch
from modules.web.pages.text import text

TAB = "extras"


@dataclass(frozen=True)
class ExtrasTab:
    """Everything the wiring needs of this tab."""

    fields: FormFields
    output: output.OutputPart
    switches: tuple[Switch, ...]


def build(context: Any) -> ExtrasTab:
    """Place the tab's content; called inside its ``gr.Tab``."""
    values, lists = defaults.extras(), state.form_lists(context)
    with gr.Row(elem_id=f"{TAB}_workspace", elem_classes=["easel-workspace"], equal_height=False):
        with gr.Column(scale=6, min_width=340, elem_id=f"{TAB}_settings"):
            sources = _sources()
            upscale, sizes = _upscale(lists["upscalers"], values)
            faces, restored = _faces(values)
            helpers = dataset.build(TAB)
        with gr.Column(
            scale=7, min_width=340, elem_id=f"{TAB}_output", elem_classes=["easel-sticky"]
        ):
            results = output.build(TAB)
    components = {**sources, **sizes, **restored, **helpers.fields}
    switches = (upscale, *faces, *helpers.switches)
    return ExtrasTab(FormFields(TAB, components), results, switches)


def _sources() -> dict[str, Component]:
    """Where the pictures come from: one file, several, or a directory of the server."""
    with (
        gr.Column(elem_classes=["easel-card", "easel-sources"]),
        gr.Tabs(elem_id="mode_extras", selected="single"),
    ):
        with gr.Tab(text("extras_single"), id="single", elem_id="extras_single_tab"):
            element("easel-picture", id="extras_image", tab=TAB)
        with gr.Tab(text("extras_batch"), id="batch", elem_id="extras_batch_process_tab"):
            element("easel-pictures", id="extras_image_batch")
        with gr.Tab(text("extras_directory"), id="directory", elem_id="extras_batch_directory_tab"):
            source = textbox("extras_input_dir", "extras_batch_input_dir")
            target = textbox(
                "extras_output_dir",
                "extras_batch_output_dir",
                placeholder=text("extras_output_placeholder"),
            )
            shown = checkbox("extras_show_results", "extras_show_extras_results", True)
    return {
        "input_directory": source,
        "output_directory": target,
        "show_extras_results": shown,
    }


def _upscale(upscalers: list[str], values: dict[str, Any]) -> tuple[Switch, dict[str, Component]]:
    with switch("extras_upscale", "extras_upscale", on=True) as part:
        wanted = values["upscaler_1"]
        first_choice = wanted if wanted in upscalers else upscalers[0]
        first = dropdown("upscaler_1", "extras_upscaler_1", upscalers, first_choice)
        with gr.Row():
            second = dropdown("upscaler_2", "extras_upscaler_2", upscalers, values["upscaler_2"])
            visibility = slider(
                "upscaler_2_visibility", "extras_upscaler_2_visibility", 0, 1, 0, 0.001
            )
        mode = segments(
            TAB,
            "resize_mode",
            "extras.resize_mode",
            {"0": "extras.scale_by", "1": "extras.scale_to"},
            0,
        )
        with gr.Row(elem_id="extras_scale_by_tab", elem_classes=["easel-scale-by"]):
            scale = slider(
                "upscaling_resize",
                "extras_upscaling_resize",
                1,
                8,
                values["upscaling_resize"],
                0.05,
            )
            longest = slider("max_side_length", "max_side_length", 0, 16384, 0, 8)
        with gr.Column(elem_id="extras_scale_to_tab", elem_classes=["easel-scale-to"]):
            with gr.Row():
                width = slider("width", "extras_upscaling_resize_w", 64, 8192, 512, 8)
                height = slider("height", "extras_upscaling_resize_h", 64, 8192, 512, 8)
            crop = checkbox("upscaling_crop", "extras_upscaling_crop", True)
    return part, {
        "upscale_enabled": part.checkbox,
        "upscaler_1": first,
        "upscaler_2": second,
        "extras_upscaler_2_visibility": visibility,
        "resize_mode": mode,
        "upscaling_resize": scale,
        "max_side_length": longest,
        "upscaling_resize_w": width,
        "upscaling_resize_h": height,
        "upscaling_crop": crop,
    }


def _faces(values: dict[str, Any]) -> tuple[tuple[Switch, ...], dict[str, Component]]:
    with switch("gfpgan", "extras_gfpgan") as gfpgan:
        seen = slider(
            "visibility", "extras_gfpgan_visibility", 0, 1, values["gfpgan_visibility"], 0.001
        )
    with switch("codeformer", "extras_codeformer") as codeformer, gr.Row():
        visibility = slider(
            "visibility",
            "extras_codeformer_visibility",
            0,
            1,
            values["codeformer_visibility"],
            0.001,
        )
        weight = slider(
            "codeformer_weight",
            "extras_codeformer_weight",
            0,
            1,
            values["codeformer_weight"],
            0.001,
        )
    with gr.Row(elem_classes=["easel-card", "easel-order"]):
        order = segments(
            TAB,
            "upscale_first",
            "extras.order",
            {"true": "extras.upscale_first", "false": "extras.faces_first"},
            True,
            titled=True,
        )
    return (gfpgan, codeformer), {
        "gfpgan_enabled": gfpgan.checkbox,
        "gfpgan_visibility": seen,
        "codeformer_enabled": codeformer.checkbox,
        "codeformer_visibility": visibility,
        "codeformer_weight": weight,
        "upscale_first": order,
    }
