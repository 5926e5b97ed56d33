"""The img2img tab: pictures and what to do with them at the left, results at the right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components.base import Component

from modules.web.pages import defaults, state
from modules.web.pages.fields import FormFields
from modules.web.pages.parts import (
    batch,
    canvas,
    cards,
    detailer,
    dimensions,
    inpaint,
    output,
    overrides,
    prompt,
    refiner,
    resize,
    sampler,
    script,
    seed,
)
from modules.web.pages.parts.element import element
from modules.web.pages.parts.inputs import slider
from modules.web.pages.parts.switch import Switch
from modules.web.pages.text import text

TAB = "img2img"


@dataclass(frozen=True)
class Img2ImgTab:
    """Everything the wiring needs of this tab."""

    fields: FormFields
    prompt: prompt.PromptPart
    dimensions: dimensions.DimensionsPart
    seed: seed.SeedPart
    output: output.OutputPart
    switches: tuple[Switch, ...]


def build(context: Any) -> Img2ImgTab:
    """Place the tab's content; called inside its ``gr.Tab``."""
    values, lists = defaults.img2img(), state.form_lists(context)
    with gr.Row(elem_id=f"{TAB}_workspace", elem_classes=["easel-workspace"], equal_height=False):
        with gr.Column(scale=6, min_width=340, elem_id=f"{TAB}_settings"):
            prompts = prompt.build(TAB, lists["styles"], compact=True)
            with cards.generation(TAB):
                pictures = _pictures()
                strength = _strength(values)
                masks = inpaint.build(TAB, values)
                sampling = sampler.build(TAB, lists["samplers"], lists["schedulers"], values)
                handover = refiner.build(TAB, lists["checkpoints"])
                size = resize.build(TAB, values)
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
            **strength,
            **masks.fields,
            **sampling.fields,
            **handover.fields,
            **size.fields,
            **seeds.fields,
            **faces.fields,
            **pictures,
            "override_settings": overridden,
        },
    )
    switches = (masks.switch, handover.switch, faces.switch)
    return Img2ImgTab(fields, prompts, size.size, seeds, results, switches)


def _pictures() -> dict[str, Component]:
    """The six sub-tabs under A1111's names; gives the fields of Batch."""
    with gr.Column(elem_id=f"{TAB}_pictures", elem_classes=["easel-card"]):
        with gr.Tabs(elem_id="mode_img2img", selected="img2img", overflow_behavior="wrap"):
            with gr.Tab(text("mode_img2img"), id="img2img", elem_id="img2img_img2img_tab"):
                canvas.build("img2img_image", "view", "img2img.picture")
            with gr.Tab(text("mode_sketch"), id="sketch", elem_id="img2img_img2img_sketch_tab"):
                canvas.build("img2img_sketch", "sketch", "img2img.sketch", "img2img.sketch_hint")
            with gr.Tab(text("mode_inpaint"), id="inpaint", elem_id="img2img_inpaint_tab"):
                canvas.build("img2maskimg", "mask", "img2img.inpaint", "img2img.inpaint_hint")
            with gr.Tab(
                text("mode_inpaint_sketch"),
                id="inpaint_sketch",
                elem_id="img2img_inpaint_sketch_tab",
            ):
                canvas.build(
                    "inpaint_sketch",
                    "maskpaint",
                    "img2img.inpaint_sketch",
                    "img2img.inpaint_sketch_hint",
                )
            with (
                gr.Tab(
                    text("mode_inpaint_upload"),
                    id="inpaint_upload",
                    elem_id="img2img_inpaint_upload_tab",
                ),
                gr.Row(elem_classes=["easel-pair"]),
            ):
                canvas.build("img_inpaint_base", "view", "img2img.upload_base")
                canvas.build("img_inpaint_mask", "view", "img2img.upload_mask", "img2img.mask_hint")
            with gr.Tab(text("mode_batch"), id="batch", elem_id="img2img_batch_tab"):
                fields = batch.build(TAB)
        element("easel-picture-actions", tab=TAB)
    # Shown while a model is chosen that is shown how near everything is.
    with gr.Column(elem_id=f"{TAB}_depth", elem_classes=["easel-card", "easel-depth-only"]):
        canvas.build(
            f"{TAB}_depth_map", "view", "img2img.depth_map", "img2img.depth_hint", named=True
        )
    return fields


def _strength(values: dict[str, Any]) -> dict[str, Component]:
    """How far the result may leave the picture, and how the picture is fitted to the size."""
    with gr.Column(elem_id=f"{TAB}_strength_card", elem_classes=["easel-card"]):
        strength = slider(
            "denoising_strength",
            f"{TAB}_denoising_strength",
            0,
            1,
            values["denoising_strength"],
            0.01,
        )
        image_cfg = slider(
            "image_cfg_scale",
            f"{TAB}_image_cfg_scale",
            0,
            3,
            values["image_cfg_scale"],
            0.05,
        )
        # Shown while a model is chosen that is told what the picture shows.
        noise_level = slider(
            "noise_level",
            f"{TAB}_noise_level",
            0,
            999,
            values["noise_level"],
            1,
            elem_classes=["easel-unclip-only"],
        )
        mode = inpaint.radio(
            "resize_mode",
            "resize_mode",
            ("resize_just", "resize_crop", "resize_fill", "resize_latent"),
            0,
        )
    return {
        "denoising_strength": strength,
        "image_cfg_scale": image_cfg,
        "noise_level": noise_level,
        "resize_mode": mode,
    }
