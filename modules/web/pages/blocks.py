"""The one Gradio page with its tabs, and how it is mounted."""

from __future__ import annotations

import contextlib
from typing import Any

import gradio as gr

from modules.web.pages import (
    extensions_page,
    extras,
    img2img,
    merger,
    models_page,
    outpaint,
    png_info,
    queue_panel,
    settings_page,
    state,
    txt2img,
    wiring,
)
from modules.web.pages.parts import quick
from modules.web.pages.shell import TITLE
from modules.web.pages.text import text
from modules.web.pages.theme import make_theme
from modules.web.pages.translations import gradio_texts


def build(context: Any) -> gr.Blocks:
    """The page for one server.

    Args:
        context: gives ``options``, ``catalog`` and ``styles``.
    """
    plugins = getattr(context, "plugins", None)
    with contextlib.ExitStack() as stack:
        if plugins is not None:
            stack.enter_context(plugins.building())
        return _build(context, plugins)


def _build(context: Any, plugins: Any) -> gr.Blocks:
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)
    ) as demo:
        bar = quick.build(context)
        with gr.Tabs(elem_id="tabs", selected="txt2img"):
            with gr.Tab(text("tab_txt2img"), id="txt2img", elem_id="tab_txt2img"):
                first = txt2img.build(context)
            with gr.Tab(text("tab_img2img"), id="img2img", elem_id="tab_img2img"):
                second = img2img.build(context)
            with gr.Tab(text("tab_outpaint"), id="outpaint", elem_id="tab_outpaint"):
                third = outpaint.build(context)
            with gr.Tab(text("tab_extras"), id="extras", elem_id="tab_extras"):
                fourth = extras.build(context)
            with gr.Tab(text("tab_png_info"), id="pnginfo", elem_id="tab_pnginfo"):
                png_info.build()
            with gr.Tab(text("tab_modelmerger"), id="modelmerger", elem_id="tab_modelmerger"):
                merging, converting = merger.build(context)
            with gr.Tab(text("tab_models"), id="models", elem_id="tab_models"):
                models_page.build()
            with gr.Tab(text("tab_queue"), id="queue", elem_id="tab_queue"):
                queue_panel.build()
            with gr.Tab(text("tab_extensions"), id="extensions", elem_id="tab_extensions"):
                extensions_page.build()
            with gr.Tab(text("tab_settings"), id="settings", elem_id="tab_settings"):
                settings_page.build()
            if plugins is not None:
                plugins.place_tabs()
        wiring.wire(demo, bar, [first, second, third, fourth, merging, converting], plugins)
    return demo


def mount_arguments(context: Any) -> dict[str, Any]:
    """What ``gr.mount_gradio_app`` needs beside the Blocks, as Blocks itself drops these."""
    return {
        "theme": make_theme(),
        "i18n": gradio_texts(f"option.{key}" for key in state.quick_keys(context)),
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "enable_monitoring": False,
        "pwa": False,
        "show_error": True,
        "max_file_size": f"{context.options['max_request_mb']}mb",
        "app_kwargs": {"docs_url": None, "redoc_url": None, "openapi_url": None},
    }
