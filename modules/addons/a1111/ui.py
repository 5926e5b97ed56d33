"""A1111's ``ui``: small parts of the page that extensions use again."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from modules.addons.a1111 import gradio_shim as gr
from modules.addons.a1111 import script_callbacks, shared
from modules.addons.a1111.call_queue import wrap_gradio_call
from modules.addons.a1111.script_callbacks import UiTrainTabParams
from modules.addons.a1111.ui_common import (
    create_output_panel,
    create_refresh_button,
    plaintext_to_html,
    save_files,
)
from modules.addons.a1111.ui_components import FormColumn, FormGroup, FormRow, ToolButton
from modules.settings.version import VERSION

__all__ = [
    "FormColumn",
    "FormGroup",
    "FormRow",
    "ToolButton",
    "UiTrainTabParams",
    "create_output_panel",
    "create_refresh_button",
    "plaintext_to_html",
    "save_files",
    "script_callbacks",
    "shared",
    "wrap_gradio_call",
]

random_symbol = "\U0001f3b2\ufe0f"
reuse_symbol = "\u267b\ufe0f"
paste_symbol = "\u2199\ufe0f"
refresh_symbol = "\U0001f504"
save_style_symbol = "\U0001f4be"
apply_style_symbol = "\U0001f4cb"
clear_prompt_symbol = "\U0001f5d1\ufe0f"
extra_networks_symbol = "\U0001f3b4"
switch_values_symbol = "\U000021c5"
restore_progress_symbol = "\U0001f300"
detect_image_size_symbol = "\U0001f4d0"
folder_symbol = "\U0001f4c2"

txt2img_paste_fields: list[Any] = []
img2img_paste_fields: list[Any] = []
paste_function: Callable[..., Any] | None = None


def gr_show(visible: bool = True) -> dict[str, Any]:
    """An update that shows or hides."""
    return {"visible": visible if visible else "hidden", "__type__": "update"}


def calc_resolution_hires(*args: Any) -> str:
    """The page tells the size itself."""
    return ""


def create_seed_inputs(target_interface: str) -> None:
    """The page has a seed of its own."""


def setup_progressbar(*args: Any, **kwargs: Any) -> None:
    """The page shows progress itself."""


def versions_html() -> str:
    """What runs here."""
    return f"version: {html.escape(VERSION)} &#x2000;•&#x2000; gradio: {gr.__version__}"


def ordered_ui_categories() -> Any:
    """Parts of the form in A1111's order."""
    from modules.addons.a1111 import shared_items

    yield from enumerate(shared_items.ui_reorder_categories())
