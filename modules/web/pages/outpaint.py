"""The Outpaint tab: a picture in a frame whose sides are drawn out; how the new part is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components.base import Component

from modules.web.pages import defaults, state
from modules.web.pages.fields import FormFields
from modules.web.pages.parts import output, overrides, prompt, sampler, seed
from modules.web.pages.parts.element import element
from modules.web.pages.parts.inputs import slider
from modules.web.pages.parts.segments import segments
from modules.web.pages.parts.switch import Switch
from modules.web.pages.text import text

TAB = "outpaint"
SIDES = ("left", "right", "up", "down")
METHODS = {
    "noise": "outpaint.method_noise",
    "tiled": "outpaint.method_tiled",
    "edge": "outpaint.method_edge",
}


@dataclass(frozen=True)
class OutpaintTab:
    """Everything the wiring needs of this tab."""

    fields: FormFields
    prompt: prompt.PromptPart
    seed: seed.SeedPart
    output: output.OutputPart
    switches: tuple[Switch, ...]


def build(context: Any) -> OutpaintTab:
    """Place the tab's content; called inside its ``gr.Tab``."""
    values, lists = defaults.outpaint(), state.form_lists(context)
    with gr.Row(elem_id=f"{TAB}_workspace", elem_classes=["easel-workspace"], equal_height=False):
        with gr.Column(scale=6, min_width=340, elem_id=f"{TAB}_settings"):
            sides = _frame()
            prompts = prompt.build(TAB, lists["styles"])
            method = _method(values)
            sampling = sampler.build(TAB, lists["samplers"], lists["schedulers"], values)
            window = _window(values)
            seeds = seed.build(TAB)
            overridden = overrides.build(TAB)
        with gr.Column(
            scale=7, min_width=340, elem_id=f"{TAB}_output", elem_classes=["easel-sticky"]
        ):
            results = output.build(TAB)
    fields = FormFields(
        TAB,
        {
            **prompts.fields,
            **sides,
            **method,
            **sampling.fields,
            **window,
            **seeds.fields,
            "override_settings": overridden,
        },
    )
    return OutpaintTab(fields, prompts, seeds, results, ())


def _frame() -> dict[str, Component]:
    """The picture in its frame; the numbers of its sides below."""
    with gr.Column(elem_id=f"{TAB}_frame_card", elem_classes=["easel-card"]):
        element("easel-outpaint-frame", id=f"{TAB}_frame", tab=TAB)
        with gr.Row(elem_id=f"{TAB}_sides", elem_classes=["easel-sides"]):
            sides: dict[str, Component] = {
                f"outpaint.{side}": gr.Number(
                    0,
                    label=text(f"outpaint_{side}"),
                    elem_id=f"{TAB}_{side}",
                    precision=0,
                    minimum=0,
                    maximum=4096,
                    step=8,
                    min_width=70,
                    interactive=True,
                )
                for side in SIDES
            }
    return sides


def _method(values: dict[str, Any]) -> dict[str, Component]:
    with gr.Column(elem_id=f"{TAB}_method_card", elem_classes=["easel-card"]):
        method = segments(
            TAB,
            "outpaint.method",
            "outpaint.method",
            METHODS,
            values["outpaint.method"],
            titled=True,
        )
        with gr.Row():
            strength = slider(
                "denoising_strength",
                f"{TAB}_denoising_strength",
                0,
                1,
                values["denoising_strength"],
                0.01,
            )
            blur = _slider("mask_blur", 0, 64, 1, values)
        with gr.Row():
            fall_off = _slider("fall_off", 0, 4, 0.01, values)
            colour = _slider("colour_variation", 0, 1, 0.01, values)
        with gr.Row():
            retries = _slider("retries", 0, 8, 1, values)
            uncrop = _slider("uncrop_pixels", 8, 1024, 8, values)
    return {
        "outpaint.method": method,
        "denoising_strength": strength,
        "outpaint.mask_blur": blur,
        "outpaint.fall_off": fall_off,
        "outpaint.colour_variation": colour,
        "outpaint.retries": retries,
        "outpaint.uncrop_pixels": uncrop,
    }


def _window(values: dict[str, Any]) -> dict[str, Component]:
    """What the model sees at once: larger canvases are painted window by window."""
    with gr.Row(elem_id=f"{TAB}_window_card", elem_classes=["easel-card"]):
        width = slider("window_width", f"{TAB}_width", 64, 2048, values["width"], 8)
        height = slider("window_height", f"{TAB}_height", 64, 2048, values["height"], 8)
        count = slider("batch_count", f"{TAB}_batch_count", 1, 100, 1, 1)
    return {"width": width, "height": height, "n_iter": count}


def _slider(name: str, low: float, high: float, step: float, values: dict[str, Any]) -> gr.Slider:
    value = values[f"outpaint.{name}"]
    return slider(f"outpaint_{name}", f"{TAB}_{name}", low, high, value, step)
