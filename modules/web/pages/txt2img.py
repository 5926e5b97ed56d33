"""The txt2img tab: the form at the left, actions and results at the right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from modules.web.pages import state
from modules.web.pages.fields import FormFields
from modules.web.pages.parts import dimensions, output, prompt, sampler, seed
from modules.web.pages.text import text

TAB = "txt2img"


@dataclass(frozen=True)
class Txt2ImgTab:
    """Everything the wiring needs of this tab."""

    fields: FormFields
    prompt: prompt.PromptPart
    dimensions: dimensions.DimensionsPart
    seed: seed.SeedPart
    output: output.OutputPart


def build(context: Any) -> Txt2ImgTab:
    """Place the tab's content; called inside its ``gr.Tab``."""
    values = state.form_defaults()
    with gr.Row(elem_id=f"{TAB}_workspace", elem_classes=["easel-workspace"], equal_height=False):
        with gr.Column(scale=6, min_width=340, elem_id=f"{TAB}_settings"):
            prompts = prompt.build(TAB, state.style_names(context))
            sampling = sampler.build(
                TAB, state.sampler_names(context), state.scheduler_labels(), values
            )
            size = dimensions.build(TAB, values)
            seeds = seed.build(TAB)
            overrides = gr.Dropdown(
                choices=[],
                value=[],
                multiselect=True,
                allow_custom_value=True,
                label=text("override_settings"),
                info=text("override_settings_info"),
                elem_id=f"{TAB}_override_settings",
                elem_classes=["easel-card"],
                visible=False,
                interactive=True,
            )
        with gr.Column(
            scale=7, min_width=340, elem_id=f"{TAB}_output", elem_classes=["easel-sticky"]
        ):
            results = output.build(TAB)
    fields = FormFields(
        TAB,
        {
            "prompt": prompts.prompt,
            "negative_prompt": prompts.negative_prompt,
            "styles": prompts.styles,
            "sampler_name": sampling.sampler_name,
            "scheduler": sampling.scheduler,
            "steps": sampling.steps,
            "width": size.width,
            "height": size.height,
            "n_iter": size.n_iter,
            "batch_size": size.batch_size,
            "cfg_scale": sampling.cfg_scale,
            "seed": seeds.seed,
            "seed_extra": seeds.seed_extra,
            "subseed": seeds.subseed,
            "subseed_strength": seeds.subseed_strength,
            "seed_resize_from_w": seeds.seed_resize_from_w,
            "seed_resize_from_h": seeds.seed_resize_from_h,
            "override_settings": overrides,
        },
    )
    return Txt2ImgTab(fields, prompts, size, seeds, results)
