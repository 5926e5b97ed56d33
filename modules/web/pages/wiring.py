"""All events of the page. They run in the browser and call the scripts in ``static/``.

A script fills fields by leaving the values with ``Easel.form`` and pressing a hidden button, whose
event then hands them to Gradio; so a dropped picture, a reload and a button all take one way.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gradio as gr

from modules.web.pages.fields import FormFields
from modules.web.pages.parts.quick import QuickPart
from modules.web.pages.txt2img import Txt2ImgTab

CLIENT: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""Arguments of an event that never asks the server."""


def wire(demo: gr.Blocks, quick: QuickPart, txt2img: Txt2ImgTab) -> None:
    """Connect everything; called once, inside the ``gr.Blocks``."""
    with gr.Column(elem_id="easel_wires", elem_classes=["easel-hidden"]):
        _wire_form(demo, txt2img.fields)
        _wire_quick(demo, quick)
    _wire_actions(txt2img)
    _wire_prompt(txt2img)
    _wire_seed(txt2img)


def _on(event: Callable[..., Any], inputs: Any, outputs: Any, script: str) -> None:
    event(None, inputs, outputs, js=script, trigger_mode="multiple", **CLIENT)


def _wire_form(demo: gr.Blocks, fields: FormFields) -> None:
    """Fill the form at load and on demand; keep every change in the browser."""
    tab, names = fields.tab, json.dumps(fields.names)
    demo.load(None, None, fields.list, js=f"() => Easel.form.initial('{tab}', {names})", **CLIENT)
    taker = gr.Button("take", elem_id=f"{tab}_take")
    _on(taker.click, None, fields.list, f"() => Easel.form.take('{tab}', {names})")
    gr.on(
        [component.change for component in fields.list],
        None,
        fields.list,
        None,
        js=f"(...values) => Easel.form.changed('{tab}', {names}, values)",
        trigger_mode="always_last",
        **CLIENT,
    )


def _wire_quick(demo: gr.Blocks, quick: QuickPart) -> None:
    """Quick settings save at once and follow changes made elsewhere."""
    keys = json.dumps(list(quick.fields))
    components = list(quick.fields.values())
    demo.load(None, None, components, js=f"() => Easel.quick.values({keys})", **CLIENT)
    taker = gr.Button("take", elem_id="quick_take")
    _on(taker.click, None, components, f"() => Easel.quick.values({keys})")
    for key, component in quick.fields.items():
        _on(component.input, [component], None, f"(value) => Easel.quick.changed('{key}', value)")


def _wire_actions(tab: Txt2ImgTab) -> None:
    fields = tab.fields
    names = json.dumps(fields.names)
    _on(
        tab.output.generate.click,
        fields.list,
        None,
        f"(...values) => Easel.form.submit('{fields.tab}', {names}, values)",
    )
    swap = tab.dimensions
    _on(swap.swap.click, [swap.width, swap.height], [swap.width, swap.height], "(w, h) => [h, w]")


def _wire_prompt(tab: Txt2ImgTab) -> None:
    part = tab.prompt
    boxes = [part.prompt, part.negative_prompt]
    _on(part.clear.click, boxes, boxes, "(p, n) => Easel.prompt.clear(p, n)")
    merged = [*boxes, part.styles]
    _on(part.apply_styles.click, merged, merged, "(p, n, s) => Easel.styles.merge(p, n, s)")


def _wire_seed(tab: Txt2ImgTab) -> None:
    part, name = tab.seed, tab.fields.tab
    _on(part.random_seed.click, None, part.seed, "() => -1")
    _on(part.random_subseed.click, None, part.subseed, "() => -1")
    _on(part.reuse_seed.click, part.seed, part.seed, f"(s) => Easel.output.seed('{name}', s)")
    _on(
        part.reuse_subseed.click,
        part.subseed,
        part.subseed,
        f"(s) => Easel.output.subseed('{name}', s)",
    )
    _on(
        part.seed_extra.change,
        part.seed_extra,
        part.extras,
        "(on) => ({__type__: 'update', visible: on})",
    )
