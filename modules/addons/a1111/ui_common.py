"""A1111's ``ui_common``: an output panel and a refresh button."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from modules.addons.a1111 import gradio_shim as gr
from modules.addons.a1111.ui_components import ToolButton

refresh_symbol = "\U0001f504"
folder_symbol = "\U0001f4c2"


def plaintext_to_html(text: str, classname: str | None = None) -> str:
    """Text as paragraphs."""
    content = "<br>\n".join(html.escape(line) for line in str(text).split("\n"))
    mark = f" class='{html.escape(classname)}'" if classname else ""
    return f"<p{mark}>{content}</p>"


def create_refresh_button(
    refresh_component: Any,
    refresh_method: Callable[[], Any],
    refreshed_args: Any,
    elem_id: str,
) -> Any:
    """A button that reads a list again."""
    many = isinstance(refresh_component, list)
    components = refresh_component if many else [refresh_component]

    def refresh() -> Any:
        refresh_method()
        args = refreshed_args() if callable(refreshed_args) else dict(refreshed_args or {})
        updates = [gr.update(**args) for _ in components]
        return updates if len(updates) > 1 else updates[0]

    button = ToolButton(value=refresh_symbol, elem_id=elem_id)
    button.click(fn=refresh, inputs=[], outputs=components)
    return button


def setup_dialog(
    button_show: Any, dialog: Any, *, button_close: Any = None, backdrop: Any = None
) -> None:
    """Show and hide a part of the page."""
    button_show.click(lambda: gr.update(visible=True), None, [dialog])
    if button_close is not None:
        button_close.click(lambda: gr.update(visible=False), None, [dialog])


class OutputPanel:
    """The parts of an output panel."""

    gallery: Any = None
    generation_info: Any = None
    infotext: Any = None
    html_log: Any = None
    button_upscale: Any = None


def create_output_panel(tabname: str, outdir: str, toprow: Any = None) -> Any:
    """A gallery with its texts; a tuple as extensions of all versions unpack it."""
    with gr.Column(elem_id=f"{tabname}_results"):
        gallery = gr.Gallery(
            label="Output", show_label=False, elem_id=f"{tabname}_gallery", columns=4
        )
        info = gr.Textbox(visible=False, elem_id=f"generation_info_{tabname}")
        infotext = gr.HTML(elem_id=f"html_info_{tabname}")
        log = gr.HTML(elem_id=f"html_log_{tabname}")
    return gallery, info, infotext, log


def save_files(*args: Any, **kwargs: Any) -> Any:
    """The page saves pictures itself."""
    return gr.update(), plaintext_to_html("Pictures are saved as they are made.")


def update_generation_info(generation_info: Any, html_info: Any, img_index: Any) -> Any:
    """The page tells of a picture itself."""
    return html_info, gr.update()
