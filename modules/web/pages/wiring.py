"""All events of the page. They run in the browser and call the scripts in ``static/``.

A script fills fields by leaving the values with ``Easel.form`` and pressing a hidden button, whose
event then hands them to Gradio; so a dropped picture, a reload and a button all take one way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import gradio as gr

from modules.web.pages.fields import FormFields
from modules.web.pages.parts.dimensions import DimensionsPart
from modules.web.pages.parts.output import OutputPart
from modules.web.pages.parts.prompt import PromptPart
from modules.web.pages.parts.quick import QuickPart
from modules.web.pages.parts.seed import SeedPart
from modules.web.pages.parts.switch import Switch

CLIENT: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""Arguments of an event that never asks the server."""


class Tab(Protocol):
    """A tab with a form; it may also have the parts ``prompt``, ``dimensions`` and ``seed``."""

    @property
    def fields(self) -> FormFields: ...

    @property
    def output(self) -> OutputPart: ...

    @property
    def switches(self) -> tuple[Switch, ...]: ...


def wire(demo: gr.Blocks, quick: QuickPart, tabs: Iterable[Tab], plugins: Any = None) -> None:
    """Connect everything; called once, inside the ``gr.Blocks``.

    ``plugins`` are the extensions, whose controls travel with Generate.
    """
    tabs = list(tabs)
    with gr.Column(elem_id="easel_wires", elem_classes=["easel-hidden"]):
        for tab in tabs:
            _wire_form(demo, tab.fields)
        _wire_quick(demo, quick)
    for tab in tabs:
        _wire_submit(tab.output, tab.fields, plugins)
        _wire_switches(tab.switches)
        _wire_parts(tab)


def _wire_parts(tab: Tab) -> None:
    prompt: PromptPart | None = getattr(tab, "prompt", None)
    dimensions: DimensionsPart | None = getattr(tab, "dimensions", None)
    seed: SeedPart | None = getattr(tab, "seed", None)
    if prompt is not None:
        _wire_prompt(prompt)
    if dimensions is not None:
        _wire_size(dimensions)
    if seed is not None:
        _wire_seed(seed, tab.fields.tab)


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


def _wire_submit(output: OutputPart, fields: FormFields, plugins: Any) -> None:
    names = json.dumps(fields.names)
    more = [] if plugins is None else plugins.inputs(fields.tab)
    further = f", {json.dumps(plugins.layout(fields.tab))}" if more else ""
    _on(
        output.generate.click,
        [*fields.list, *more],
        None,
        f"(...values) => Easel.form.submit('{fields.tab}', {names}, values{further})",
    )


def _wire_switches(switches: Iterable[Switch]) -> None:
    for switch in switches:
        _show_while_on(switch.checkbox, switch.body)


def _show_while_on(checkbox: gr.Checkbox, body: gr.Column) -> None:
    _on(checkbox.change, checkbox, body, "(on) => ({__type__: 'update', visible: on})")


def _wire_size(part: DimensionsPart) -> None:
    sides = [part.width, part.height]
    _on(part.swap.click, sides, sides, "(w, h) => [h, w]")


def _wire_prompt(part: PromptPart) -> None:
    boxes = [part.prompt, part.negative_prompt]
    _on(part.clear.click, boxes, boxes, "(p, n) => Easel.prompt.clear(p, n)")
    merged = [*boxes, part.styles]
    _on(part.apply_styles.click, merged, merged, "(p, n, s) => Easel.styles.merge(p, n, s)")


def _wire_seed(part: SeedPart, name: str) -> None:
    _on(part.random_seed.click, None, part.seed, "() => -1")
    _on(part.random_subseed.click, None, part.subseed, "() => -1")
    _on(part.reuse_seed.click, part.seed, part.seed, f"(s) => Easel.output.seed('{name}', s)")
    _on(
        part.reuse_subseed.click,
        part.subseed,
        part.subseed,
        f"(s) => Easel.output.subseed('{name}', s)",
    )
    _show_while_on(part.seed_extra, part.extras)
