"""Gradio as extensions of A1111 know it: 3.41's and 4.40's names on the installed Gradio.

Extension code gets this module for ``import gradio``. What it lacks is Gradio's own; old keywords
and methods of Gradio's classes are added by `patches`.
"""

from __future__ import annotations

import types
from typing import Any

import gradio

from modules.addons.a1111.gradio_shim import patches

patches.apply()

Box = gradio.Group
Variable = gradio.State
update = patches.update


def _with(module: types.ModuleType, **more: Any) -> types.ModuleType:
    """A module that has further names beside those of ``module``."""
    extended = types.ModuleType(module.__name__)
    vars(extended).update(vars(module))
    vars(extended).update(more)
    return extended


class _Releaseable:
    """A mark that Gradio 3 gave to components with a ``release`` event."""


components = _with(
    gradio.components,
    IOComponent=gradio.components.Component,
    FormComponent=gradio.components.FormComponent,
    Variable=gradio.State,
    Box=gradio.Group,
)
inputs = _with(gradio.components, Image=gradio.Image)
outputs = _with(gradio.components, Image=gradio.Image)
events = _with(
    gradio.events,
    **{
        name: getattr(gradio.events, name, _Releaseable)
        for name in ("Changeable", "Clickable", "Releaseable", "Inputable", "Submittable")
    },
)
deprecation = types.ModuleType("gradio.deprecation")
deprecation.GradioDeprecationWarning = DeprecationWarning  # type: ignore[attr-defined]
processing_utils = _with(
    gradio.processing_utils,
    decode_base64_to_image=patches.decode_base64_to_image,
    encode_pil_to_base64=patches.encode_pil_to_base64,
)


def __getattr__(name: str) -> Any:
    return getattr(gradio, name)
