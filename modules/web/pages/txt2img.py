"""The txt2img tab: the form at the left, actions and results at the right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from modules.web.pages import defaults, state
from modules.web.pages.fields import FormFields
from modules.web.pages.parts import (
    cards,
    detailer,
    dimensions,
    hires,
    output,
    overrides,
    prompt,
    refiner,
    sampler,
    script,
    seed,
)
from modules.web.pages.parts.switch import Switch

TAB = "txt2img"


@dataclass(frozen=True)
class Txt2ImgTab:
    """Everything the wiring needs of this tab."""

    fields: FormFields
    prompt: prompt.PromptPart
    dimensions: dimensions.DimensionsPart
    seed: seed.SeedPart
    output: output.OutputPart
    switches: tuple[Switch, ...]


def build(context: Any) -> Txt2ImgTab:
    """Place the tab's content; called inside its ``gr.Tab``."""
    values, lists = defaults.txt2img(), state.form_lists(context)
    with gr.Row(elem_id=f"{TAB}_workspace", elem_classes=["easel-workspace"], equal_height=False):
        with gr.Column(scale=6, min_width=340, elem_id=f"{TAB}_settings"):
            prompts = prompt.build(TAB, lists["styles"])
            with cards.generation(TAB):
                sampling = sampler.build(TAB, lists["samplers"], lists["schedulers"], values)
                second = hires.build(TAB, lists, values)
                handover = refiner.build(TAB, lists["checkpoints"])
                size = dimensions.build(TAB, values)
                seeds = seed.build(TAB)
                faces = detailer.build(TAB)
                script.build(TAB, getattr(context, "plugins", None))
                overridden = overrides.build(TAB)
        with gr.Column(
            scale=7, min_width=340, elem_id=f"{TAB}_output", elem_classes=["easel-sticky"]
        ):
            results = output.build(TAB)
    fields = FormFields(
        TAB,
        {
            **prompts.fields,
            **sampling.fields,
            **second.fields,
            **handover.fields,
            **size.fields,
            **seeds.fields,
            **faces.fields,
            "override_settings": overridden,
        },
    )
    switches = (second.switch, handover.switch, faces.switch)
    return Txt2ImgTab(fields, prompts, size, seeds, results, switches)
