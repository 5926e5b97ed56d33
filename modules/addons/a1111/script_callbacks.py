"""A1111's ``script_callbacks``: what extensions register, and the calls that reach them.

Each callback is called on its own: one that fails is reported, and the others are still called.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modules.addons import host
from modules.addons.a1111.callback_order import ordered
from modules.addons.a1111.callback_params import (
    AfterCFGCallbackParams,
    BeforeTokenCounterParams,
    CFGDenoisedParams,
    CFGDenoiserParams,
    ExtraNoiseParams,
    ImageGridLoopParams,
    ImageSaveParams,
    UiTrainTabParams,
)

__all__ = [
    "AfterCFGCallbackParams",
    "BeforeTokenCounterParams",
    "CFGDenoisedParams",
    "CFGDenoiserParams",
    "ExtraNoiseParams",
    "ImageGridLoopParams",
    "ImageSaveParams",
    "UiTrainTabParams",
]


@dataclass
class ScriptCallback:
    """One registered function."""

    script: str
    """The file that registered it."""
    callback: Callable[..., Any]
    name: str = "unnamed"


CATEGORIES = (
    "app_started",
    "model_loaded",
    "ui_tabs",
    "ui_train_tabs",
    "ui_settings",
    "before_image_saved",
    "image_saved",
    "extra_noise",
    "cfg_denoiser",
    "cfg_denoised",
    "cfg_after_cfg",
    "before_component",
    "after_component",
    "image_grid",
    "infotext_pasted",
    "script_unloaded",
    "before_ui",
    "on_reload",
    "list_optimizers",
    "list_unets",
    "before_token_counter",
)

callback_map: dict[str, list[ScriptCallback]] = {f"callbacks_{name}": [] for name in CATEGORIES}


def add_callback(
    callbacks: list[ScriptCallback],
    fun: Callable[..., Any],
    *,
    name: str | None = None,
    category: str = "unknown",
    filename: str | None = None,
) -> None:
    """Put a function into a list; it belongs to the file that called, unless one is named."""
    if filename is None:
        filename = _calling_file()
    found = host.get().extension_of(filename)
    owner = found.name if found else "base"
    base = f"{owner}/{os.path.basename(filename)}/{category}" + (f"/{name}" if name else "")
    taken = {one.name for one in callbacks}
    unique, number = base, 0
    while unique in taken:
        number += 1
        unique = f"{base}-{number}"
    callbacks.append(ScriptCallback(filename, fun, unique))


def add_callback_to(
    category: str, fun: Callable[..., Any], name: str | None = None, filename: str | None = None
) -> None:
    """Register ``fun`` in a category of `CATEGORIES`."""
    filename = filename or _calling_file()
    callbacks = callback_map[f"callbacks_{category}"]
    add_callback(callbacks, fun, name=name, category=category, filename=filename)


def _calling_file() -> str:
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return frame.f_code.co_filename if frame is not None else "unknown file"


def report_exception(c: ScriptCallback, job: str) -> None:
    """Report the exception being handled as that callback's."""
    error = sys.exc_info()[1]
    if error is not None:
        host.get().report(c.script, job, error)


def ordered_callbacks(
    category: str,
    unordered_callbacks: list[ScriptCallback] | None = None,
    *,
    enable_user_sort: bool = True,
) -> list[ScriptCallback]:
    """A category's callbacks in the order in which they are called (``metadata.ini``)."""
    if unordered_callbacks is None:
        unordered_callbacks = callback_map.get(f"callbacks_{category}", [])
    return ordered(list(unordered_callbacks), host.get().active())


def enumerate_callbacks() -> list[tuple[str, list[ScriptCallback]]]:
    """All categories with their callbacks."""
    return [(name.removeprefix("callbacks_"), list(all_)) for name, all_ in callback_map.items()]


def has(category: str) -> bool:
    """Whether anybody listens; the hot loops ask before they build a parameter object."""
    return bool(callback_map[f"callbacks_{category}"])


def clear_callbacks() -> None:
    """Forget all of them."""
    _settings_asked.clear()
    for callback_list in callback_map.values():
        callback_list.clear()


def _call(category: str, *args: Any, **kwargs: Any) -> list[Any]:
    """Call all of a category; what they returned, without those that failed."""
    results = []
    for c in ordered_callbacks(category):
        try:
            results.append(c.callback(*args, **kwargs))
        except Exception:
            report_exception(c, f"{category}_callback")
    return results


def app_started_callback(demo: Any, app: Any) -> None:
    """The page and the routes are up."""
    _call("app_started", demo, app)


def app_reload_callback() -> None:
    """The page is about to be built again."""
    _call("on_reload")


def model_loaded_callback(sd_model: Any) -> None:
    """A checkpoint is in memory."""
    _call("model_loaded", sd_model)


def ui_tabs_callback() -> list[Any]:
    """Tabs of extensions: ``(gr.Blocks, title, element id)`` each."""
    return [tab for tabs in _call("ui_tabs") for tab in tabs or []]


def ui_train_tabs_callback(params: UiTrainTabParams) -> None:
    """Tabs below Train."""
    _call("ui_train_tabs", params)


_settings_asked: set[int] = set()


def ui_settings_callback() -> None:
    """Extensions add their settings; each function is called once, however often this is."""
    for c in ordered_callbacks("ui_settings"):
        if id(c) in _settings_asked:
            continue
        _settings_asked.add(id(c))
        try:
            c.callback()
        except Exception:
            report_exception(c, "ui_settings_callback")


def before_image_saved_callback(params: ImageSaveParams) -> None:
    """A picture is about to be written; all of ``params`` may change."""
    _call("before_image_saved", params)


def image_saved_callback(params: ImageSaveParams) -> None:
    """A picture was written."""
    _call("image_saved", params)


def extra_noise_callback(params: ExtraNoiseParams) -> None:
    """Noise is about to be added to an img2img or hires latent."""
    _call("extra_noise", params)


def cfg_denoiser_callback(params: CFGDenoiserParams) -> None:
    """Before the model is called for a step."""
    _call("cfg_denoiser", params)


def cfg_denoised_callback(params: CFGDenoisedParams) -> None:
    """After the model, before guidance is combined."""
    _call("cfg_denoised", params)


def cfg_after_cfg_callback(params: AfterCFGCallbackParams) -> None:
    """After guidance is combined."""
    _call("cfg_after_cfg", params)


def before_component_callback(component: Any, **kwargs: Any) -> None:
    """A component of the page is about to be made."""
    _call("before_component", component, **kwargs)


def after_component_callback(component: Any, **kwargs: Any) -> None:
    """A component of the page was made."""
    _call("after_component", component, **kwargs)


def image_grid_callback(params: ImageGridLoopParams) -> None:
    """A grid is about to be drawn; rows and columns may change."""
    _call("image_grid", params)


def infotext_pasted_callback(infotext: str, params: dict[str, Any]) -> None:
    """Parameters were read from an infotext; ``params`` may change."""
    _call("infotext_pasted", infotext, params)


def script_unloaded_callback() -> None:
    """Scripts are about to be loaded again; called in the reverse order."""
    for c in reversed(ordered_callbacks("script_unloaded")):
        try:
            c.callback()
        except Exception:
            report_exception(c, "script_unloaded")


def before_ui_callback() -> None:
    """The page is about to be built."""
    _call("before_ui")


def before_reload_callback() -> None:
    """A1111's other name of `app_reload_callback`."""
    app_reload_callback()


def list_optimizers_callback() -> list[Any]:
    """Attention optimizations of extensions; each appends to the list."""
    found: list[Any] = []
    _call("list_optimizers", found)
    return found


def list_unets_callback() -> list[Any]:
    """UNet replacements of extensions; each appends to the list."""
    found: list[Any] = []
    _call("list_unets", found)
    return found


def before_token_counter_callback(params: BeforeTokenCounterParams) -> None:
    """Tokens of a prompt are about to be counted; the prompt may change."""
    _call("before_token_counter", params)


def remove_current_script_callbacks() -> None:
    """Forget all callbacks of the calling file."""
    remove_callbacks_of_file(_calling_file())


def remove_callbacks_of_file(filename: str) -> None:
    """Forget all callbacks of a file."""
    for callback_list in callback_map.values():
        callback_list[:] = [one for one in callback_list if one.script != filename]


def remove_callbacks_for_function(callback_func: Callable[..., Any]) -> None:
    """Forget one function wherever it is registered."""
    for callback_list in callback_map.values():
        callback_list[:] = [one for one in callback_list if one.callback != callback_func]


def _registrar(category: str) -> Callable[..., None]:
    def register(callback: Callable[..., Any], *, name: str | None = None) -> None:
        add_callback_to(category, callback, name)

    register.__name__ = f"on_{category}"
    register.__doc__ = f"Register a function for `{category}`."
    return register


on_app_started = _registrar("app_started")
on_before_reload = _registrar("on_reload")
on_model_loaded = _registrar("model_loaded")
on_ui_tabs = _registrar("ui_tabs")
on_ui_train_tabs = _registrar("ui_train_tabs")
on_ui_settings = _registrar("ui_settings")
on_before_image_saved = _registrar("before_image_saved")
on_image_saved = _registrar("image_saved")
on_extra_noise = _registrar("extra_noise")
on_cfg_denoiser = _registrar("cfg_denoiser")
on_cfg_denoised = _registrar("cfg_denoised")
on_cfg_after_cfg = _registrar("cfg_after_cfg")
on_before_component = _registrar("before_component")
on_after_component = _registrar("after_component")
on_image_grid = _registrar("image_grid")
on_infotext_pasted = _registrar("infotext_pasted")
on_script_unloaded = _registrar("script_unloaded")
on_before_ui = _registrar("before_ui")
on_list_optimizers = _registrar("list_optimizers")
on_list_unets = _registrar("list_unets")
on_before_token_counter = _registrar("before_token_counter")
